"""The same step and generator in PyTorch, written to be fast there.

It uses channels_last, Adam's fused kernel, torch.compile where that works, and autocast
for mixed_bfloat16. Networks, losses, constants and the order of updates are those of
plain.py. PyTorch is an optional extra: `pip install '.[torch]'`.
"""

import sys
from functools import partial

import torch
from torch import nn

EPS = 1e-12  # inside the logarithms
EMA_DECAY = 0.99
L1_WEIGHT = 100.0


class BatchNorm(nn.BatchNorm2d):
    """Batch norm by the batch's own statistics, also if the batch is a single number.

    PyTorch's module refuses such a batch, as the innermost layer has (1x1 at batch size
    1); its kernel does not.
    """

    def __init__(self, width):
        super().__init__(width, track_running_stats=False)

    def forward(self, x):
        return torch.batch_norm(
            x,
            self.weight,
            self.bias,
            None,  # no running statistics, which nothing reads
            None,
            True,  # training
            0.0,
            1e-5,
            torch.backends.cudnn.enabled,
        )


def _start(module):
    """Initializes a layer: weights from N(0, 0.02), gamma from N(1, 0.02)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


class Generator(nn.Module):
    """The U-Net: float32 [batch, 3, 256, 256] in [-1, 1] to the same."""

    def __init__(self, ngf):
        super().__init__()
        widths = [ngf * width for width in (1, 2, 4, 8, 8, 8, 8, 8)]
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        previous = 3
        for level, width in enumerate(widths):
            parts = [nn.LeakyReLU(0.2)] if level else []
            parts.append(nn.Conv2d(previous, width, 4, 2, 1))
            if level:
                parts.append(BatchNorm(width))
            self.encoders.append(nn.Sequential(*parts))
            previous = width
        for level, width in enumerate(widths[-2::-1]):
            parts = [nn.ReLU(), nn.ConvTranspose2d(previous, width, 4, 2, 1)]
            parts.append(BatchNorm(width))
            if level < 3:
                parts.append(nn.Dropout(0.5))
            self.decoders.append(nn.Sequential(*parts))
            previous = 2 * width  # with its skip
        self.last = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(previous, 3, 4, 2, 1))
        self.apply(_start)

    def forward(self, x):
        skips = []
        for encoder in self.encoders:
            x = encoder(x)
            skips.append(x)
        x = skips.pop()
        for decoder in self.decoders:
            x = torch.cat([decoder(x), skips.pop()], dim=1)
        return torch.tanh(self.last(x).float())


class Discriminator(nn.Module):
    """The 70x70 PatchGAN: inputs and targets to [batch, 1, 30, 30] in [0, 1]."""

    def __init__(self, ndf):
        super().__init__()
        parts, previous = [], 6
        for level, width in enumerate((1, 2, 4, 8)):
            parts.append(nn.Conv2d(previous, ndf * width, 4, 1 if level == 3 else 2, 1))
            if level:
                parts.append(BatchNorm(ndf * width))
            parts.append(nn.LeakyReLU(0.2))
            previous = ndf * width
        self.layers = nn.Sequential(*parts, nn.Conv2d(previous, 1, 4, 1, 1))
        self.apply(_start)

    def forward(self, inputs, targets):
        pair = torch.cat([inputs, targets], dim=1)
        return torch.sigmoid(self.layers(pair).float())


def to_tensors(pair):
    """Returns inputs and targets for `step`, from [batch, height, width, 3] each."""
    return [
        torch.from_numpy(images)
        .permute(0, 3, 1, 2)
        .to(_device())
        .contiguous(memory_format=torch.channels_last)
        for images in pair
    ]


def make_step(ngf, precision, networks=None, is_compiled=True):
    """Returns a function that updates both networks once.

    It maps inputs and targets, float32 [batch, 3, 256, 256] in [-1, 1], to the outputs
    and the three losses, all from before the update.

    Args:
        ngf: int, the first filters of both networks.
        precision: "float32" or "mixed_bfloat16".
        networks: (Generator, Discriminator), or None for new ones.
        is_compiled: bool, use torch.compile where it works.
    """
    generator, discriminator = (
        network.to(_device(), memory_format=torch.channels_last).train()
        for network in networks or (Generator(ngf), Discriminator(ngf))
    )
    g_weights = list(generator.parameters())
    d_weights = list(discriminator.parameters())
    g_adam, d_adam = (
        torch.optim.Adam(weights, 2e-4, (0.5, 0.999), eps=1e-8, fused=True)
        for weights in (g_weights, d_weights)
    )
    averages = torch.zeros(3, device=_device())

    def forward(inputs, targets):
        with torch.autocast(_device(), torch.bfloat16, precision != "float32"):
            outputs = generator(inputs)
            real = discriminator(inputs, targets)
            fake = discriminator(inputs, outputs)
        d_loss = -(torch.log(real + EPS) + torch.log(1 - fake + EPS)).mean()
        gan_loss = -torch.log(fake + EPS).mean()
        l1_loss = (targets - outputs).abs().mean()
        return outputs, d_loss, gan_loss, l1_loss

    def derive(function, inputs, targets):
        outputs, d_loss, gan_loss, l1_loss = function(inputs, targets)
        g_loss = gan_loss + L1_WEIGHT * l1_loss
        d_gradients = torch.autograd.grad(d_loss, d_weights, retain_graph=True)
        g_gradients = torch.autograd.grad(g_loss, g_weights)
        losses = torch.stack([d_loss, gan_loss, l1_loss]).detach()
        return outputs.detach(), losses, d_gradients, g_gradients

    torch._functorch.config.donated_buffer = False  # two gradients of one graph
    run = _try_compiled(forward, derive) if is_compiled else partial(derive, forward)

    def step(inputs, targets):
        outputs, losses, d_gradients, g_gradients = run(inputs, targets)
        for adam, weights, gradients in (
            (d_adam, d_weights, d_gradients),
            (g_adam, g_weights, g_gradients),
        ):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            adam.step()
        averages.mul_(EMA_DECAY).add_(losses, alpha=1 - EMA_DECAY)
        if _device() == "cuda":
            torch.cuda.synchronize()
        return outputs, losses

    return step


def make_forward(ngf, precision):
    """Returns the generator in test mode, with dropout and batch statistics.

    The function maps inputs to outputs, float32 [batch, 3, 256, 256] in [-1, 1].

    Args:
        ngf: int, the first filters of the generator.
        precision: "float32" or "mixed_bfloat16".
    """
    generator = Generator(ngf).to(_device(), memory_format=torch.channels_last).train()
    run = _try_compiled(generator, lambda function, inputs: function(inputs))

    def forward(inputs):
        with (
            torch.inference_mode(),
            torch.autocast(_device(), torch.bfloat16, precision != "float32"),
        ):
            outputs = run(inputs)
        if _device() == "cuda":
            torch.cuda.synchronize()
        return outputs

    return forward


def _try_compiled(function, use):
    """Returns `use` with the compiled function, or uncompiled if compiling fails."""
    functions = [function, torch.compile(function)]

    def run(*arguments):
        try:
            return use(functions[-1], *arguments)
        except RuntimeError as error:  # torch.compile raises these
            if functions.pop() is function:
                raise
            line = str(error).strip().partition("\n")[0]
            print(f"without torch.compile: {line}", file=sys.stderr)
            return use(function, *arguments)

    return run


def _device():
    return "cuda" if torch.cuda.is_available() else "cpu"
