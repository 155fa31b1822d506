"""Labels of documents by a teacher, and the classifiers that learn from them."""
