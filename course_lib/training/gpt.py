"""GPT: a decoder-only transformer, from 0.1 million parameters (a minute on a laptop) to the 124 million of GPT-2."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .._inputs import fraction, not_negative, whole


class GPT(nn.Module):
    """Predicts the next token from those before it.

    Architecture of GPT-2 (Radford et al. 2019): learned positions, blocks that normalize first (pre-LN), causal
    attention, a hidden layer of 4 x width with GELU, and the token embedding used again as the output layer.

    vocabulary: number of different tokens (256 for bytes).   context: tokens that it can look back on.
    width: numbers per token, divisible by `heads`.   depth: number of blocks.   dropout: in [0, 1).

    It has vocabulary x width + context x width + depth x (12 width^2 + 13 width) + 2 width parameters.
    Raises TypeError or ValueError for sizes that do not fit.

    >>> model = GPT(vocabulary=256, context=64, width=64, depth=2, heads=2)
    >>> model(torch.zeros(8, 64, dtype=torch.long)).shape    # logits of the next token at each place
    torch.Size([8, 64, 256])
    """

    def __init__(self, vocabulary=256, context=64, width=64, depth=2, heads=2, dropout=0.0):
        super().__init__()
        vocabulary, context = whole("vocabulary", vocabulary, minimum=2), whole("context", context)
        width, depth, heads = whole("width", width), whole("depth", depth), whole("heads", heads)
        if width % heads:
            raise ValueError(
                f"width must be divisible by heads; got {width} and {heads}. Try width={heads * max(1, width // heads)}."
            )
        dropout = fraction("dropout", dropout, example=0.1, zero=True)
        self.context = context
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        self.apply(self._start)

    @classmethod
    def tiny(cls, **changes):
        """0.12 million parameters: trains in a minute on a laptop."""
        return cls(**{"vocabulary": 256, "context": 64, "width": 64, "depth": 2, "heads": 2} | changes)

    @classmethod
    def small(cls, **changes):
        """10.8 million parameters: a few minutes on a GPU."""
        return cls(**{"vocabulary": 256, "context": 256, "width": 384, "depth": 6, "heads": 6} | changes)

    @classmethod
    def gpt2(cls, **changes):
        """124 million parameters: the sizes of the smallest GPT-2, with its vocabulary (86 million with vocabulary=256)."""
        return cls(**{"vocabulary": 50257, "context": 1024, "width": 768, "depth": 12, "heads": 12} | changes)

    def _start(self, layer):
        """Small random weights; smaller still where a block writes into the sum that runs through all of them."""
        if isinstance(layer, (nn.Linear, nn.Embedding)):
            nn.init.normal_(layer.weight, std=0.02)
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if isinstance(layer, Block):
            for last in (layer.attention.out, layer.shrink):
                nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * len(self.blocks)))

    def forward(self, tokens):
        """Return the logits of the next token at each place, (batch, length, vocabulary), for `tokens` (batch, length)."""
        length = tokens.shape[1]
        if length > self.context:
            raise ValueError(
                f"tokens has length {length}, above the context of {self.context}. Pass tokens[:, -{self.context}:]."
            )
        x = self.dropout(self.tokens(tokens) + self.positions.weight[:length])
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    @torch.no_grad()
    def generate(self, tokens, num_tokens, *, temperature=1.0, generator=None):
        """Continue `tokens` (batch, length): return (batch, length + num_tokens), drawn token by token.

        temperature: below 1 the likelier tokens become likelier still; 0 always takes the likeliest.
        generator: a torch.Generator on the model's device, for the same draws each time.
        """
        num_tokens, temperature = (
            whole("num_tokens", num_tokens, minimum=0),
            not_negative("temperature", temperature, example=0.8),
        )
        if tokens.ndim != 2 or tokens.shape[1] == 0:
            raise ValueError(f"tokens must have shape (batch, length) with a token to start from; got {tuple(tokens.shape)}.")
        training = self.training
        self.eval()
        for _ in range(num_tokens):
            logits = self(tokens[:, -self.context :])[:, -1]
            if temperature == 0:
                drawn = logits.argmax(-1, keepdim=True)
            else:
                drawn = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
            tokens = torch.cat([tokens, drawn], 1)
        self.train(training)
        return tokens

    @property
    def flops_per_token(self):
        """Floating-point operations of training on one token: forward and backward, at full context.

        6 for each weight that multiplies, 12 x depth x width x context for attention (Chowdhery et al. 2022, appendix
        B), which counts the half that causal attention can leave out too.
        """
        weights = sum(layer.weight.numel() for layer in self.modules() if isinstance(layer, nn.Linear))
        return 6 * weights + 12 * len(self.blocks) * self.tokens.embedding_dim * self.context


class Block(nn.Module):
    """Attention, then a layer for each token on its own; each adds to what comes in."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.grow, self.shrink = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.dropout(self.attention(self.norm_1(x)))
        return x + self.dropout(self.shrink(F.gelu(self.grow(self.norm_2(x)))))


class Attention(nn.Module):
    """Each place takes in a mean of the places up to it, weighted by how well their keys match its query."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        # (batch, length, 3 width) -> three of (batch, heads, length, width of a head)
        q, k, v = self.query_key_value(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout * self.training, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))
