"""Public data sets, and a user's own: each lists the files of its pairs; `pair_files` reads them."""
