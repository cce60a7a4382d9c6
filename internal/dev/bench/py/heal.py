"""heal.py prints the processor seconds and the seconds that STEPS steps of healing
one layer of latent attention take in float32 on one thread: autograd and SOAP, on
WINDOWS windows of LENGTH tokens a step."""
import sys
import time

import torch

d, H, D, r, p, windows, length, steps = map(int, sys.argv[1:])
torch.set_num_threads(1)
torch.manual_seed(0)
shapes = dict(query=(H * (D + p), d), rotary=(p, d), down=(r, d), keys=(H * D, r), values=(H * D, r), output=(d, H * D))
w = {name: torch.nn.Parameter(torch.randn(*s) / s[1]**0.5) for name, s in shapes.items()}
angle = torch.outer(torch.arange(length).float(), 100.0 ** (-torch.arange(0, p, 2).float() / p))
cos, sin = angle.cos(), angle.sin()
mask = torch.full((length, length), float("-inf")).triu(1)


def rotate(x):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


def layer(x):
    heads = lambda y: y.view(len(x), length, H, -1).transpose(1, 2)
    q, c = heads(x @ w["query"].T), x @ w["down"].T
    scores = q[..., :D] @ heads(c @ w["keys"].T).transpose(2, 3)
    scores = scores + rotate(q[..., D:]) @ rotate(x @ w["rotary"].T).transpose(1, 2)[:, None]
    mixed = (scores / D**0.5 + mask).softmax(-1) @ heads(c @ w["values"].T)
    return mixed.transpose(1, 2).reshape(len(x), length, H * D) @ w["output"].T


class Soap:
    """The optimiser for one tensor. Its rows are of some heads; a basis is of 1024 rows or columns at most."""

    def __init__(self, w, heads):
        parts = max(heads, -(-w.shape[0] // 1024)), -(-w.shape[1] // 1024)
        self.w, self.steps = w, 0
        self.shape = parts[0], w.shape[0] // parts[0], parts[1], w.shape[1] // parts[1]
        self.rate = 2.4e-2 * w.detach().pow(2).mean().sqrt()
        self.first, self.second = torch.zeros(self.shape), torch.zeros(self.shape)
        self.moments = [torch.zeros(parts[0], *2 * self.shape[1:2]), torch.zeros(parts[1], *2 * self.shape[3:])]
        self.bases = [torch.eye(m.shape[1]).expand_as(m) for m in self.moments]

    def into(self, g):
        return torch.einsum("hrpc,hrs,pcd->hspd", g, *self.bases)

    def out(self, g):
        return torch.einsum("hspd,hrs,pcd->hrpc", g, *self.bases)

    def step(self, part):
        self.steps += 1
        g = self.w.grad.view(self.shape)
        self.moments[0].lerp_(torch.einsum("hrpc,hspc->hrs", g, g), 0.05)
        self.moments[1].lerp_(torch.einsum("hrpc,hrpd->pcd", g, g), 0.05)
        if self.steps == 1 or self.steps % 5 == 0:
            mean = self.out(self.first)
            self.bases = [torch.linalg.eigh(m)[1] for m in self.moments]
            self.first = self.into(mean)
        g = self.into(g)
        self.first.lerp_(g, 0.1)
        self.second.mul_(0.95).addcmul_(g, g, value=0.05)
        unbiased = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.95**self.steps)
        self.w -= part * self.rate * self.out(unbiased[0] / (unbiased[1].sqrt() + 1e-12)).reshape(self.w.shape)


x, target = torch.randn(windows, length, d), torch.randn(windows, length, d)
optimisers = [Soap(t, {"query": H, "keys": H, "values": H}.get(name, 1)) for name, t in w.items()]


def step():
    loss = (layer(x) - target).pow(2).sum() / target.pow(2).sum()
    for t in w.values():
        t.grad = None
    loss.backward()
    with torch.no_grad():
        for o in optimisers:
            o.step(0.1)


step()  # not counted
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(steps):
    step()
print(time.process_time() - cpu, time.perf_counter() - wall)
