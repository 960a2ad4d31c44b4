"""Images, panels, tables and HTML: everything a person looks at."""
