"""Step 5: real answers from every instance."""

from drill.checks import chat, smoke
from fixtures.rows import Row, row


@row("smoke.search", order=21)
def test_search(drill: Row) -> None:
    """Searches give documents of FAISS and of the right tenant, the golden ones, and not always the same."""
    drill.smoke(smoke.search)


@row("smoke.embed", order=22)
def test_embed(drill: Row) -> None:
    """Embeddings are finite, not zero, different, and of the dimension of the FAISS index."""
    drill.smoke(smoke.embed)


@row("smoke.chat", order=23)
def test_chat(drill: Row) -> None:
    """The chat answers with a text, what is expected in it, and asks retrieval for it."""
    drill.smoke(chat.chat)
