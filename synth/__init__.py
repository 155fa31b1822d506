"""A teacher makes data: labels of documents, and more to come. Floor 4: imports curation, classifiers, manifests."""
