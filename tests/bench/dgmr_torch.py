# SPDX-License-Identifier: Apache-2.0
"""DGMR in PyTorch alone, in the paper's form (weather/dgmr.c), as a peer for timings: what a careful user of PyTorch would
run. Modules are called as our parameters are, so that a model file of ours is read as it is.

Lead times are one batch wherever the network allows it, but for the ConvGRUs and, in training, the statistics of batch
norm; memory is channels last; spectral norm is folded for forecasts, and computed once a step in training.

    python tests/bench/dgmr_torch.py      compares it with the golden values of the package dgmr (make_dgmr*.py)"""
import json, os, struct, sys
import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, pixel_shuffle, pixel_unshuffle, relu
from torch.nn.utils import parametrize

CONTEXT = 4


class Sonnet(nn.Module):
    """w / sigma as Sonnet's wrapper: one power iteration a step, eps inside the root."""

    def __init__(self, w, eps=1e-4):
        super().__init__()
        self.eps = eps
        self.register_buffer("u", nn.functional.normalize(torch.randn(w.shape[0]), dim=0))
        self.register_buffer("v", nn.functional.normalize(torch.randn(w[0].numel()), dim=0))

    def forward(self, w):
        matrix = w.flatten(1)
        u, v = self.u.clone(), self.v.clone()
        if self.training:
            with torch.no_grad():
                v = matrix.T @ u
                v = v * torch.rsqrt((v * v).sum() + self.eps)
                u = matrix @ v
                u = u * torch.rsqrt((u * u).sum() + self.eps)
                self.u.copy_(u)
                self.v.copy_(v)
        return w / (u @ matrix @ v)


def conv(before, after, size=3, kind=nn.Conv2d, sn=True, bias=True):
    layer = kind(before, after, size, padding=size // 2, bias=bias)
    if sn:
        parametrize.register_parametrization(layer, "weight", Sonnet(layer.weight.detach()))
    return layer


# ---- blocks ---------------------------------------------------------------------------------------
class DBlock(nn.Module):
    def __init__(self, before, after, kind=nn.Conv2d, first=False, last=False):
        super().__init__()
        self.first, self.last = first, last
        self.pool = nn.AvgPool3d(2) if kind is nn.Conv3d else nn.AvgPool2d(2)
        if not last:
            self.skip = conv(before, after, 1, kind)
        self.conv1, self.conv2 = conv(before, after, 3, kind), conv(after, after, 3, kind)

    def forward(self, x):
        y = self.conv2(relu(self.conv1(x if self.first else relu(x))))
        return y + x if self.last else self.pool(y) + self.pool(self.skip(x))


class LBlock(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.grows = after > before
        if after != before:
            self.skip = conv(before, after - before if self.grows else after, 1, sn=False)
        self.conv1, self.conv2 = conv(before, after, sn=False), conv(after, after, sn=False)

    def forward(self, x):
        skip = torch.cat([x, self.skip(x)], 1) if self.grows else self.skip(x) if hasattr(self, "skip") else x
        return self.conv2(relu(self.conv1(relu(x)))) + skip


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        inner = max(width // 8, 1)
        for name in ("query", "key", "value"):
            setattr(self, name, conv(width, inner, 1, sn=False, bias=False))
        self.out = conv(inner, width, 1, sn=False, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        n, _, h, w = x.shape
        q, k, v = (f(x).flatten(2).transpose(1, 2) for f in (self.query, self.key, self.value))
        y = torch.softmax(q @ k.transpose(1, 2), -1) @ v
        return x + self.gamma * self.out(y.transpose(1, 2).reshape(n, -1, h, w))


def by_lead(norm, x, leads):
    """[T*N,C,H,W]; in training each lead time has its own statistics."""
    return torch.cat([norm(c) for c in x.chunk(leads)]) if norm.training else norm(x)


class GBlock(nn.Module):
    def __init__(self, before, after, up=False):
        super().__init__()
        self.up = up
        if up:
            self.skip = conv(before, after, 1)
        self.conv1, self.conv2 = conv(before, after), conv(after, after)
        self.norm1, self.norm2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)

    def forward(self, x, leads):
        skip, y = x, relu(by_lead(self.norm1, x, leads))
        if self.up:
            skip = self.skip(nn.functional.interpolate(x, scale_factor=2))
            y = nn.functional.interpolate(y, scale_factor=2)
        return self.conv2(relu(by_lead(self.norm2, self.conv1(y), leads))) + skip


class ConvGru(nn.Module):
    def __init__(self, before, state):
        super().__init__()
        for name in ("read", "update", "output"):
            setattr(self, name, conv(before + state, state))

    def forward(self, x, h, leads):
        """x: T tensors [N,C,H,W], or one for all steps -> [T*N,C,H,W]."""
        out = []
        for t in range(leads):
            xt = x[t] if isinstance(x, tuple) else x
            xh = torch.cat([xt, h], 1)
            r, u = torch.sigmoid(self.read(xh)), torch.sigmoid(self.update(xh))
            h = u * h + (1 - u) * relu(self.output(torch.cat([xt, r * h], 1)))
            out.append(h)
        return torch.cat(out)


# ---- the generator --------------------------------------------------------------------------------
class Level(nn.Module):
    """Of the conditioning stack."""

    def __init__(self, before, after, frames):
        super().__init__()
        self.block, self.mix = DBlock(before, after), conv(frames * after, after)


class SamplerLevel(nn.Module):
    def __init__(self, wide, state):
        super().__init__()
        self.gru, self.conv = ConvGru(wide, state), conv(state, wide, 1)
        self.block, self.up = GBlock(wide, wide), GBlock(wide, wide // 2, up=True)

    def forward(self, x, h, leads):
        x = self.conv(self.gru(x, h, leads))
        return self.up(self.block(x, leads), leads)


class Generator(nn.Module):
    def __init__(self, latent=768, context=384, z=8, leads=18):
        super().__init__()
        self.leads = leads
        widths = [4] + [context >> k for k in (3, 2, 1, 0)]
        self.conditioning = nn.ModuleDict({f"level{i + 1}": Level(widths[i], widths[i + 1], CONTEXT) for i in range(4)})
        l = [z, latent // 32, latent // 16, latent // 4, latent]
        self.latent = nn.ModuleDict({f"block{i + 1}": LBlock(l[i], l[i + 1]) for i in range(4)})
        self.latent["conv"], self.latent["attention"] = conv(z, z), Attention(l[3])
        self.sampler = nn.ModuleDict({f"level{4 - i}": SamplerLevel(latent >> i, context >> i) for i in range(4)})
        self.sampler["norm"], self.sampler["out"] = nn.BatchNorm2d(latent // 16), conv(latent // 16, 4, 1)

    def forward(self, frames, z):  # [N,4,1,H,W], [K*N,Z,h,w] -> [K*N,T,1,H,W]
        n, k = len(frames), len(z) // len(frames)
        x, states = pixel_unshuffle(frames.flatten(0, 1), 2), []
        for c in self.conditioning.values():
            x = c.block(x)
            state = relu(c.mix(x.unflatten(0, (n, CONTEXT)).flatten(1, 2)))
            states.append(state.repeat(k, 1, 1, 1) if k > 1 else state)
        l, s = self.latent, self.sampler
        x = l.block4(l.attention(l.block3(l.block2(l.block1(l.conv(z))))))
        for i, state in zip((4, 3, 2, 1), states[::-1]):
            h = s[f"level{i}"](x, state, self.leads)
            x = h.chunk(self.leads)
        h = pixel_shuffle(s.out(relu(by_lead(s.norm, h, self.leads))), 2)
        return h.unflatten(0, (self.leads, len(z))).transpose(0, 1)


# ---- the discriminators ---------------------------------------------------------------------------
class MeanNorm(nn.Module):
    """Batch norm without variance: the mean of all rows subtracted, an offset learned."""

    def __init__(self, channels):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))

    def forward(self, x):
        mean = self.running_mean
        if self.training:
            mean = x.mean(0)
            self.running_mean.copy_(0.9 * self.running_mean + 0.1 * mean.detach())
        return x - mean + self.bias


class Judge(nn.Module):
    """One of the two: `three_d` blocks of 3-D convolutions, then blocks a frame, then the head."""

    def __init__(self, first, three_d):
        super().__init__()
        w = [4] + [first << k for k in (0, 1, 2, 3, 4, 4)]
        self.three_d = three_d
        for i in range(6):
            kind = nn.Conv3d if i < three_d else nn.Conv2d
            setattr(self, f"block{i + 1}", DBlock(w[i], w[i + 1], kind, first=i == 0, last=i == 5))
        self.norm, self.linear = MeanNorm(w[6]), nn.Linear(w[6], 1)
        parametrize.register_parametrization(self.linear, "weight", Sonnet(self.linear.weight.detach()))

    def forward(self, x):  # [N,F,4,h,w] -> [N]
        n, blocks = len(x), [getattr(self, f"block{i + 1}") for i in range(6)]
        if self.three_d:
            x = x.transpose(1, 2)
            for b in blocks[:self.three_d]:
                x = b(x)
            x = x.transpose(1, 2)
        x = x.flatten(0, 1)
        for b in blocks[self.three_d:]:
            x = b(x)
        return self.linear(self.norm(relu(x).sum((2, 3)))).reshape(n, -1).sum(1)


class Discriminators(nn.Module):
    def __init__(self, first=48):
        super().__init__()
        self.spatial, self.temporal = Judge(first, 0), Judge(first, 2)

    def forward(self, x, pick, row, column):  # [N,T,1,H,W], frames [N,P] -> two scores [N]
        rows = x.gather(1, pick[:, :, None, None, None].expand(-1, -1, *x.shape[2:]))
        pooled = avg_pool2d(rows.flatten(0, 1), 2).unflatten(0, rows.shape[:2])
        h, w = x.shape[3] // 2, x.shape[4] // 2
        window = x[..., row:row + h, column:column + w]
        return self.spatial(pixel_unshuffle(pooled, 2)), self.temporal(pixel_unshuffle(window, 2))


# ---- weights --------------------------------------------------------------------------------------
def read_safetensors(path):
    """name -> float32 tensor, and the network's configuration."""
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        body = f.read()
    config = json.loads(head.pop("__metadata__")["libgen.config"])
    kinds, out = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}, {}
    for name, t in head.items():
        a, b = t["data_offsets"]
        out[name] = torch.frombuffer(bytearray(body[a:b]), dtype=kinds[t["dtype"]]).reshape(t["shape"]).float()
    return out, config


def fill(net, value, prefix=""):
    """Each parameter and state from value(our name, shape)."""
    norm = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "var"}
    for name, t in [*net.named_parameters(), *net.named_buffers()]:
        path, last = name.replace(".parametrizations.weight.original", ".weight").rsplit(".", 1) if "." in name else ("", name)
        path = path.replace(".parametrizations.weight.0", "")
        if last == "num_batches_tracked":
            continue
        normal = isinstance(net.get_submodule(path), (nn.BatchNorm2d, MeanNorm))
        ours = norm[last] if normal else {"weight": "w", "bias": "b"}.get(last, last)
        with torch.no_grad():
            t.copy_(value(prefix + path.replace(".", "/") + "/" + ours, tuple(t.shape)))


def fold(net):
    """Weights without spectral norm, for forecasts."""
    net.eval()
    for m in list(net.modules()):
        if parametrize.is_parametrized(m, "weight"):
            parametrize.remove_parametrizations(m, "weight")
    return net


def channels_last(net):
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            m.to(memory_format=torch.channels_last)
        elif isinstance(m, nn.Conv3d):
            m.to(memory_format=torch.channels_last_3d)
    return net


def from_file(path, leads=None):
    weights, c = read_safetensors(path)
    scaled = lambda n, k: max(int(n * c["width"] / k + 0.5), 1) * k
    net = Generator(scaled(c["latent_channels"], 32), scaled(c["context_channels"], 16), c["z_channels"], leads or c["steps"])
    fill(net, lambda name, shape: weights[name].reshape(shape))
    return channels_last(fold(net)), c


# ---- beside the package dgmr -----------------------------------------------------------------------
def check():
    golden = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden")
    sys.path.insert(0, golden)
    import rule
    pairs = {}

    def value(name, shape):
        if name[-2:] in ("/u", "/v"):  # beside a weight that was asked for before
            return torch.from_numpy(pairs[name])
        v = rule.value(name, shape)
        if name.endswith("/w"):
            pairs[name[:-1] + "u"], pairs[name[:-1] + "v"] = rule.vectors(name[:-2], v)
        return torch.from_numpy(v)

    def field(name, *shape):  # [N,T,H,W,1] by rule -> [N,T,1,H,W]
        return torch.from_numpy(rule.value(name, shape)).double().permute(0, 1, 4, 2, 3)

    def compare(what, found, name, every=1):
        found, expected = found.detach().numpy().reshape(-1)[::every], np.load(os.path.join(golden, name))
        off = np.abs(found - expected[:len(found)]).max() / np.abs(expected[:len(found)]).max()
        print(f"{what}: {off:.2g} from the package's values", flush=True)
        assert off < 1e-6, what

    g = Generator(192, 96, 2, 2).double()
    fill(g, value)
    z = torch.from_numpy(rule.value("z", (2, 2, 3, 2))).double().permute(0, 3, 1, 2)
    with torch.no_grad():
        compare("generator", fold(g)(field("frames", 2, 4, 64, 96, 1), z), "dgmr_paper.npy", 7)
    d = Discriminators(6).double()
    fill(d, value, "discriminator/")
    d.eval()
    draw = lambda name, frames: field(name, 2, frames, 128, 160, 1)
    mask, context = (draw("mask", 6) > -1).double(), draw("context/frames", 4)
    x = torch.cat([torch.cat([context, y * mask], 1) for y in (2 * draw("target/frames", 6), draw("draw1/frames", 6))])
    pick = torch.tensor([[4, 9, 6, 7], [8, 5, 4, 6], [9, 8, 7, 5], [5, 4, 9, 8]])
    with torch.no_grad():
        compare("discriminators", torch.cat(d(x, pick, 37, 11)), "dgmr_disc_paper_eval_losses.npy")


if __name__ == "__main__":
    check()
