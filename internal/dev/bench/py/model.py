"""model.py prints the processor seconds and the seconds that forward passes of a
model of the shape of SmolLM2-135M take for a window of 2048 tokens in float32: the
better of two after a first that is not counted, either of them apart.

    model.py THREADS calibrate    all layers
    model.py THREADS verify       all layers and the head, and once more with the
                                  latent attention that the model converts to
"""
import sys
import time

import torch
from torch.nn.functional import scaled_dot_product_attention, silu

torch.set_num_threads(int(sys.argv[1]))
torch.set_grad_enabled(False)
T, L, d, H, G, D, f, vocabulary = 2048, 30, 576, 9, 3, 64, 1536, 49152
rank, rotary = 144, 48


def matrix(*shape):
    return torch.randn(*shape) / shape[-1]**0.5


def norm(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def turning(n):
    angle = torch.outer(torch.arange(T).float(), 100000.0 ** (-torch.arange(0, n, 2).float() / n)).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def heads(x, n):
    return x.view(T, n, -1).transpose(0, 1)


def attend(q, k, v):
    n = H // k.shape[0]
    k, v = k.repeat_interleave(n, 0), v.repeat_interleave(n, 0)
    return scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0].transpose(0, 1).reshape(T, -1)


def grouped():
    q, k, v, o = matrix(H * D, d), matrix(G * D, d), matrix(G * D, d), matrix(d, H * D)
    cos, sin = turning(D)
    return lambda h: attend(rotate(heads(h @ q.T, H), cos, sin), rotate(heads(h @ k.T, G), cos, sin), heads(h @ v.T, G)) @ o.T


def latent():
    q, down, up, o = matrix(H * (D + rotary), d), matrix(rank + rotary, d), matrix(H * 2 * D, rank), matrix(d, H * D)
    cos, sin = turning(rotary)

    def attention(h):
        c, r = (h @ down.T).split((rank, rotary), -1)
        content, turned = heads(h @ q.T, H).split((D, rotary), -1)
        k, v = heads(norm(c) @ up.T, H).split((D, D), -1)
        r = rotate(r, cos, sin).expand(H, T, rotary)
        return attend(torch.cat((content, rotate(turned, cos, sin)), -1), torch.cat((k, r), -1), v) @ o.T

    return attention


def model(attention):
    layers = [(attention(), matrix(f, d), matrix(f, d), matrix(d, f)) for _ in range(L)]

    def forward(x):
        for attended, gate, up, down in layers:
            x = x + attended(norm(x))
            h = norm(x)
            x = x + (silu(h @ gate.T) * (h @ up.T)) @ down.T
        return norm(x)

    return forward


x = torch.randn(T, d)
source = model(grouped)
if sys.argv[2] == "calibrate":
    def work():
        source(x)
else:
    converted, head = model(latent), matrix(vocabulary, d)

    def work():
        for m in source, converted:
            m(x) @ head.T

cpu, wall = [], []
for _ in range(3):
    a, b = time.process_time(), time.perf_counter()
    work()
    cpu.append(time.process_time() - a)
    wall.append(time.perf_counter() - b)
print(min(cpu[1:]), min(wall[1:]))
