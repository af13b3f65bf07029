#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes ops.json: what PyTorch (double) says of convolutions, pools, batch norm and the order of
channels, with gradients by autograd. It checks conventions (axis order, padding, which variance),
independently of our own references. Run it again with:  python3 tests/golden/ops.py

Everything is written channels last, as libgen holds it; weights keep PyTorch's order."""
import json
import os

import torch
import torch.nn.functional as F

SEED = 20
torch.set_default_dtype(torch.float64)
torch.manual_seed(SEED)
cases = []


def draw(*shape):
    return (torch.randint(-16, 17, shape) / 16.0).requires_grad_(True)


def last(x):  # [N,C,*] -> [N,*,C]
    return x.movedim(1, -1)


def first(x):
    return x.movedim(-1, 1)


def numbers(t):
    t = t.detach()
    return {"shape": list(t.shape), "data": [float("%.9g" % v) for v in t.flatten().tolist()]}


def case(op, name, inputs, fn, **attr):
    """inputs in libgen's layout; fn(*inputs) -> output or outputs in libgen's layout. Gradients are
    those of output 0."""
    out = fn(*inputs)
    out = out if isinstance(out, tuple) else (out,)
    dy = torch.randint(-8, 9, out[0].shape) / 8.0
    dx = torch.autograd.grad(out[0], inputs, dy)
    cases.append({"op": op, "name": name, "attr": attr, "in": [numbers(i) for i in inputs],
                  "out": [numbers(o) for o in out], "dy": numbers(dy), "dx": [numbers(d) for d in dx]})


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
BACK = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def conv(name, size, cin, cout, kernel, stride=None, dilation=None, lo=None, hi=None, groups=1, n=1):
    d = len(size)
    stride, dilation = stride or [1] * d, dilation or [1] * d
    lo, hi = lo or [0] * d, hi or [0] * d
    pads = [v for i in reversed(range(d)) for v in (lo[i], hi[i])]
    case("conv", name, [draw(n, *size, cin), draw(cout, cin // groups, *kernel), draw(cout)],
         lambda x, w, b: last(CONV[d](F.pad(first(x), pads), w, b, stride, 0, dilation, groups)),
         stride=stride, dilation=dilation, pad_lo=lo, pad_hi=hi, groups=groups)


def transpose(name, size, cin, cout, kernel, stride, pad, extra, dilation=None, groups=1):
    """PyTorch's conv_transpose from cin to cout channels; output_padding `extra`."""
    d = len(size)
    dilation = dilation or [1] * d
    out = [(size[i] - 1) * stride[i] - 2 * pad[i] + dilation[i] * (kernel[i] - 1) + extra[i] + 1
           for i in range(d)]
    case("conv_transpose", name,
         [draw(2, *size, cin), draw(cin, cout // groups, *kernel), draw(cout)],
         lambda y, w, b: last(BACK[d](first(y), w, b, stride, pad, extra, groups, dilation)),
         stride=stride, dilation=dilation, pad_lo=pad, pad_hi=pad, groups=groups, size=out)


def pool(op, name, size, c, kernel, stride, pad, include=True):
    d = len(size)
    avg = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[d]
    top = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[d]
    if op == "avg_pool":
        fn = lambda x: last(avg(first(x), kernel, stride, pad, count_include_pad=include))
    else:
        fn = lambda x: last(top(first(x), kernel, stride, pad))
    case(op, name, [draw(1, *size, c)], fn, kernel=kernel, stride=stride, pad_lo=pad, pad_hi=pad,
         exclude_pad=int(not include))


def batch_norm(name, shape, groups, eps):
    def fn(x):
        parts = x.chunk(groups)
        ys = [last(F.batch_norm(first(p), None, None, training=True, eps=eps)) for p in parts]
        rest = list(range(len(shape) - 1))
        return (torch.cat(ys), torch.stack([p.mean(rest) for p in parts]),
                torch.stack([p.var(rest, unbiased=False) for p in parts]))
    case("batch_norm", name, [draw(*shape)], fn, groups=groups, eps=eps)


conv("1d", [9], 3, 4, [3], lo=[1], hi=[1])
conv("1d dilated stride", [14], 4, 2, [3], [2], [3], [4], [1], groups=2)
conv("2d", [5, 6], 3, 4, [3, 3], lo=[1, 1], hi=[1, 1])
conv("2d lopsided", [5, 4], 2, 3, [3, 2], lo=[0, 2], hi=[1, 0])
conv("2d stride groups", [7, 6], 4, 6, [3, 2], [2, 3], [1, 2], [1, 1], [1, 0], 2, 2)
conv("3d", [3, 4, 3], 2, 3, [3, 3, 3], lo=[1, 1, 1], hi=[1, 1, 1])
conv("3d mixed", [4, 5, 5], 2, 2, [2, 1, 3], [1, 2, 2], [2, 1, 1], [1, 0, 1], [0, 0, 1], 2)
transpose("1d x4", [5], 3, 2, [8], [4], [2], [0])
transpose("1d output padding", [5], 4, 2, [5], [3], [1], [2], groups=2)
transpose("2d x2", [3, 4], 3, 2, [4, 4], [2, 2], [1, 1], [0, 0])
transpose("2d output padding", [3, 3], 2, 4, [3, 3], [2, 2], [1, 1], [1, 0], groups=2)
transpose("2d dilated", [3, 4], 2, 2, [3, 2], [1, 2], [1, 0], [0, 1], [2, 2])
transpose("3d", [2, 3, 2], 2, 2, [3, 2, 3], [2, 2, 1], [1, 0, 1], [1, 0, 0])
batch_norm("2d", [2, 3, 4, 3], 1, 1e-5)
batch_norm("rows", [6, 4], 1, 1e-3)
batch_norm("3d groups", [4, 2, 2, 3, 2], 2, 1e-4)
for op in ("avg_pool", "max_pool"):
    pool(op, "1d", [9], 3, [3], [2], [1])
    pool(op, "2d", [5, 6], 2, [2, 2], [2, 2], [0, 0])
    pool(op, "2d padded", [6, 5], 2, [3, 3], [2, 2], [1, 1])
    pool(op, "3d", [4, 3, 4], 2, [2, 3, 2], [2, 1, 1], [1, 1, 0])
pool("avg_pool", "2d padding not counted", [6, 5], 2, [3, 3], [2, 1], [1, 1], False)
pool("avg_pool", "3d padding not counted", [3, 4, 3], 2, [2, 3, 3], [1, 2, 2], [1, 1, 1], False)
case("upsample", "2d", [draw(1, 3, 2, 2)],
     lambda x: last(F.interpolate(first(x), scale_factor=(2.0, 3.0), mode="nearest")), factor=[2, 3])
case("upsample", "1d", [draw(2, 3, 2)],
     lambda x: last(F.interpolate(first(x), scale_factor=5.0, mode="nearest")), factor=[5])
case("space_to_depth", "pixel_unshuffle", [draw(1, 4, 6, 3)],
     lambda x: last(F.pixel_unshuffle(first(x), 2)), block=2, block_major=0)
case("depth_to_space", "pixel_shuffle", [draw(1, 2, 3, 18)],
     lambda x: last(F.pixel_shuffle(first(x), 3)), block=3, block_major=0)


def tf_space_to_depth(x, b=2):
    """tf.nn.space_to_depth, NHWC, by its documentation: block rows, block columns, then channels."""
    n, h, w, c = x.shape
    return x.reshape(n, h // b, b, w // b, b, c).permute(0, 1, 3, 2, 4, 5).reshape(
        n, h // b, w // b, b * b * c)


case("space_to_depth", "tensorflow", [draw(1, 4, 6, 3)], tf_space_to_depth, block=2, block_major=1)
case("linear", "3d", [draw(2, 3, 4), draw(5, 4), draw(5)], F.linear)
case("matmul", "batch", [draw(2, 3, 4), draw(2, 4, 2)], torch.matmul, transpose_a=0, transpose_b=0)
case("matmul", "batch, both transposed", [draw(2, 4, 3), draw(2, 2, 4)],
     lambda a, b: torch.matmul(a.mT, b.mT), transpose_a=1, transpose_b=1)
case("matmul", "shared b", [draw(3, 2, 4), draw(4, 3)], torch.matmul, transpose_a=0, transpose_b=0)


def apart(*shape, low=1):  # for functions of positive numbers, and divisors
    return (torch.randint(low, 33, shape) / 16.0).requires_grad_(True)


# Many values are equal or at a kink: 0 for relu and abs, the bounds of clamp, ties of max.
for op, fn in (("relu", F.relu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh),
               ("exp", torch.exp), ("square", torch.square), ("abs", torch.abs),
               ("softplus", F.softplus)):
    case(op, "values", [draw(5, 8)], fn)
for op, fn in (("log", torch.log), ("sqrt", torch.sqrt), ("rsqrt", torch.rsqrt),
               ("reciprocal", torch.reciprocal)):
    case(op, "values", [apart(3, 5)], fn)
case("leaky_relu", "values", [draw(5, 8)], lambda x: F.leaky_relu(x, 0.25), slope=0.25)
case("clamp", "values", [draw(5, 8)], lambda x: torch.clamp(x, -0.5, 0.25), lo=-0.5, hi=0.25)
case("affine", "values", [draw(3, 5)], lambda x: -1.5 * x + 0.25, scale=-1.5, shift=0.25)
BINARY = (("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div),
          ("max", torch.maximum), ("min", torch.minimum))
for op, fn in BINARY:
    second = apart if op == "div" else draw
    case(op, "same", [draw(4, 6), second(4, 6)], fn)
    case(op, "broadcast", [draw(2, 1, 4, 3), second(5, 1, 3)], fn)
    case(op, "scalar", [draw(2, 3), second()], fn)
case("lerp", "values", [draw(3, 5), draw(3, 5), draw(3, 5)], lambda u, a, b: torch.lerp(b, a, u))
for axis in range(3):
    case("softmax", "axis %d" % axis, [draw(3, 4, 5)], lambda x: torch.softmax(2 * x, axis), axis=axis)
for axes in ([3], [0], [1, 2], [0, 2], [0, 1, 2, 3]):
    bits = sum(1 << a for a in axes)
    for op, fn in (("sum", torch.sum), ("mean", torch.mean), ("max_over", torch.amax)):
        case(op, "axes %s" % axes, [draw(2, 3, 4, 5)], lambda x: fn(x, axes, keepdim=True), axes=bits)
case("transpose", "rotate", [draw(2, 3, 4, 5)], lambda x: x.permute(3, 0, 1, 2), list=[3, 0, 1, 2])
case("transpose", "five axes", [draw(2, 1, 3, 2, 4)], lambda x: x.permute(1, 4, 0, 3, 2),
     list=[1, 4, 0, 3, 2])
case("reshape", "open", [draw(2, 3, 4)], lambda x: x.reshape(4, -1), list=[4, -1])
case("broadcast", "outer and inner", [draw(3, 1)], lambda x: x.expand(2, 3, 4), list=[2, 3, 4])
case("concat", "axis 1", [draw(2, 1, 3), draw(2, 3, 3), draw(2, 2, 3)],
     lambda *x: torch.cat(x, 1), axis=1)
case("slice", "axis 1", [draw(2, 5, 3)], lambda x: x.narrow(1, 2, 2), axis=1, first=2, count=2)
case("pad", "two axes", [draw(2, 3, 2)], lambda x: F.pad(x, (1, 0, 2, 3), value=0.5),
     list=[0, 2, 1], hi=[0, 3, 0], value=0.5)
case("gather", "repeated, axis 0", [draw(4, 3)],
     lambda x: x.index_select(0, torch.tensor([3, 0, 3, 3, 1])), axis=0, list=[3, 0, 3, 3, 1])
case("gather", "axis 2", [draw(2, 3, 4)],
     lambda x: x.index_select(2, torch.tensor([1, 1, 0])), axis=2, list=[1, 1, 0])
case("crop", "two images", [draw(2, 5, 6, 2)],
     lambda x: torch.stack([x[0, 1:4, 2:4], x[1, 0:3, 4:6]]), h=3, w=2, list=[1, 2, 0, 4])

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops.json")
with open(path, "w") as f:
    f.write('{"made_by": "tests/golden/ops.py", "torch": "%s", "seed": %d, "cases": [\n' %
            (torch.__version__, SEED))
    f.write(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases))
    f.write("\n]}\n")
print(len(cases), "cases,", os.path.getsize(path), "bytes")
