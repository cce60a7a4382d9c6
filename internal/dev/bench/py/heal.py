"""heal.py prints the processor seconds and the seconds that STEPS steps of healing
one layer of latent attention take in float32 on one thread: autograd and Adam, on
WINDOWS windows of LENGTH tokens a step, in updates of up to 256 tokens."""
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


at_once = max(1, 256 // length)
x, target = torch.randn(windows, length, d), torch.randn(windows, length, d)
adam = torch.optim.Adam([dict(params=[t], lr=3e-2 * t.detach().abs().mean().item()) for t in w.values()])
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps + 1)


def step():
    for i in range(0, windows, at_once):
        loss = (layer(x[i:i + at_once]) - target[i:i + at_once]).pow(2).sum() / target[i:i + at_once].pow(2).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    schedule.step()


step()  # not counted
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(steps):
    step()
print(time.process_time() - cpu, time.perf_counter() - wall)
