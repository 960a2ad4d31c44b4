"""Reports: images, panels, tables and HTML pages."""
