"""Common Crawl by its columnar index: which records, and their byte ranges."""
