"""What a document's address and its page's own words say: canonical URLs, blocklists, robots."""
