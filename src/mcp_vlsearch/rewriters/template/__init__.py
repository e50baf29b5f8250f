"""``template``: a terse query put into the sentences that encoders are trained on; no model.

lexicon    the words, from english.toml and chinese.toml
english    an English query taken apart and put together again
chinese    a Chinese one, in either script
rewriter   which of them is asked
"""

from mcp_vlsearch.rewriters.template.rewriter import TemplateRewriter

__all__ = ["TemplateRewriter"]
