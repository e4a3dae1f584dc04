"""The retrieval service that migrates from FAISS to pgvector: one process an instance."""
