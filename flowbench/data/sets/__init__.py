"""The field's data sets, and a user's own: each lists where its pairs lie; `pair_files` reads them."""
