"""Several PDFs as one, to be printed in one go."""

import threading
from collections.abc import Sequence
from contextlib import closing
from io import BytesIO
from typing import Final

import pypdfium2

# PDFium is one program for the whole process, and no two threads may be in it.
_alone: Final = threading.Lock()


def joined(documents: Sequence[bytes]) -> bytes:
    """The pages of all documents, in their order; raises ValueError for none."""
    if not documents:
        raise ValueError("There is no document to join.")
    if len(documents) == 1:
        return documents[0]
    out = BytesIO()
    with _alone, closing(pypdfium2.PdfDocument.new()) as made:
        for content in documents:
            with closing(pypdfium2.PdfDocument(content)) as document:
                made.import_pages(document)
        made.save(out)
    return out.getvalue()
