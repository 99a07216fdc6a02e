"""Networks, optimisers and loss terms in the plainest torch, of the papers' formulas: nothing here is of dfcil_core.

Weights are dicts of tensors under the names that a stage's files give them.
"""

import math

import torch
from torch.nn import functional


class Weights:
    """Named tensors that are trained, and running statistics that are not."""

    def __init__(self, state):
        self.trained, self.running = {}, {}
        for name, tensor in state.items():
            if name.endswith(("running_mean", "running_var")):
                self.running[name] = tensor.clone()
            elif not name.endswith("num_batches_tracked"):
                self.trained[name] = tensor.detach().clone().requires_grad_(True)
        self.momentum = 0.1

    def frozen(self):
        """A copy that no step moves."""
        return type(self)({**self.trained, **self.running})

    def state(self):
        return {**{name: tensor.detach() for name, tensor in self.trained.items()}, **self.running}

    def normalised(self, x, name, train, eps=1e-5, inputs=None):
        """Batch normalisation of (n, channels, h, w); what goes in is added to `inputs`."""
        if inputs is not None:
            inputs.append((name, x))
        mean, variance = self.running[f"{name}.running_mean"], self.running[f"{name}.running_var"]
        if train:
            count = x.numel() / x.shape[1]
            batch_mean = x.sum((0, 2, 3)) / count
            batch_variance = ((x - batch_mean.view(1, -1, 1, 1)) ** 2).sum((0, 2, 3)) / count
            with torch.no_grad():
                self.running[f"{name}.running_mean"] = (1 - self.momentum) * mean + self.momentum * batch_mean
                unbiased = batch_variance * count / (count - 1)
                self.running[f"{name}.running_var"] = (1 - self.momentum) * variance + self.momentum * unbiased
            mean, variance = batch_mean, batch_variance
        x = (x - mean.view(1, -1, 1, 1)) / (variance.view(1, -1, 1, 1) + eps).sqrt()
        if f"{name}.weight" not in self.trained:
            return x
        return x * self.trained[f"{name}.weight"].view(1, -1, 1, 1) + self.trained[f"{name}.bias"].view(1, -1, 1, 1)

    def linear(self, x, name):
        x = x @ self.trained[f"{name}.weight"].T
        return x + self.trained[f"{name}.bias"] if f"{name}.bias" in self.trained else x


class ResNet8(Weights):
    """One block a stage: 16, 32 and 64 channels."""

    linear_blocks = False

    def features(self, x, train=False, inputs=None):
        w = self.trained
        x = functional.conv2d(x, w["backbone.convolution.weight"], padding=1)
        x = self.normalised(x, "backbone.normalisation", train, inputs=inputs).clamp_min(0)
        for block, (size, stride) in enumerate(((16, 1), (32, 2), (64, 2))):
            at = f"backbone.blocks.{block}"
            y = functional.conv2d(x, w[f"{at}.convolution1.weight"], stride=stride, padding=1)
            y = self.normalised(y, f"{at}.normalisation1", train, inputs=inputs).clamp_min(0)
            y = functional.conv2d(y, w[f"{at}.convolution2.weight"], padding=1)
            y = self.normalised(y, f"{at}.normalisation2", train, inputs=inputs)
            if stride == 2:
                x = x[:, :, ::2, ::2]
                zeros = torch.zeros(len(x), size // 4, *x.shape[2:])
                x = torch.cat([x, zeros, zeros] if self.linear_blocks else [zeros, x, zeros], 1)
            x = x + y if self.linear_blocks else (x + y).clamp_min(0)
        return x.mean((2, 3))

    def logits(self, x, train=False, inputs=None):
        return self.linear(self.features(x, train, inputs), "head")


class LinearResNet8(ResNet8):
    """R-DFCIL's: no ReLU after the addition, the shortcut's zeros behind its channels."""

    linear_blocks = True


class Generator(Weights):
    """Noise (n, 1000) to images of 8 x 8."""

    def images(self, noise, train):
        w = self.trained
        x = self.linear(noise, "linear").reshape(len(noise), 128, 2, 2)
        x = self.normalised(x, "normalisation", train)
        for layer in range(2):
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = functional.conv2d(x, w[f"convolutions.{layer}.weight"], w[f"convolutions.{layer}.bias"], padding=1)
            x = self.normalised(x, f"normalisations.{layer}", train, eps=0.8)
            x = torch.where(x > 0, x, 0.2 * x)
        x = functional.conv2d(x, w["last_convolution.weight"], w["last_convolution.bias"], padding=1)
        return self.normalised(torch.tanh(x), "last_normalisation", train)


class Vae(Weights):
    """DGR's auto-encoder."""

    def encoded(self, x):
        w = self.trained
        for layer in range(3):
            weight, bias = w[f"convolutions.{layer}.weight"], w[f"convolutions.{layer}.bias"]
            x = functional.conv2d(x, weight, bias, stride=2, padding=1).clamp_min(0)
        x = x.flatten(1)
        return self.linear(x, "mean"), self.linear(x, "log_variance")

    def decoded(self, codes):
        """Pixels in [0, 1]."""
        w = self.trained
        x = self.linear(codes, "expand")
        side = math.isqrt(x.shape[1] // 512)
        x = x.reshape(len(codes), 512, side, side)
        for layer in range(3):
            weight, bias = w[f"deconvolutions.{layer}.weight"], w[f"deconvolutions.{layer}.bias"]
            x = functional.conv_transpose2d(x, weight, bias, stride=2, padding=1)
            x = x.clamp_min(0) if layer < 2 else 1 / (1 + torch.exp(-x))
        return x


# ---- optimisers ------------------------------------------------------------------------------------------------------


class Sgd:
    """Momentum 0.9; weight decay is added to the gradient. What has no gradient stays."""

    def __init__(self, tensors, weight_decay):
        self.tensors, self.weight_decay, self.velocity = list(tensors), weight_decay, {}

    def step(self, loss, lr):
        gradients = torch.autograd.grad(loss, self.tensors, allow_unused=True)
        with torch.no_grad():
            for tensor, gradient in zip(self.tensors, gradients, strict=True):
                if gradient is None:
                    continue
                gradient = gradient + self.weight_decay * tensor
                before = self.velocity.get(id(tensor))
                self.velocity[id(tensor)] = gradient if before is None else 0.9 * before + gradient
                tensor -= lr * self.velocity[id(tensor)]


class Adam:
    """Kingma and Ba, ICLR 2015, algorithm 1, with the usual three numbers."""

    def __init__(self, tensors):
        self.tensors = list(tensors)
        self.first = [torch.zeros_like(tensor) for tensor in self.tensors]
        self.second = [torch.zeros_like(tensor) for tensor in self.tensors]
        self.steps = 0

    def step(self, loss, lr):
        self.steps += 1
        gradients = torch.autograd.grad(loss, self.tensors)
        with torch.no_grad():
            for index, gradient in enumerate(gradients):
                self.first[index] = 0.9 * self.first[index] + 0.1 * gradient
                self.second[index] = 0.999 * self.second[index] + 0.001 * gradient**2
                first = self.first[index] / (1 - 0.9**self.steps)
                second = self.second[index] / (1 - 0.999**self.steps)
                self.tensors[index] -= lr * first / (second.sqrt() + 1e-8)


# ---- loss terms ------------------------------------------------------------------------------------------------------


def log_softmax(z):
    z = z - z.max(1, keepdim=True).values.detach()
    return z - z.exp().sum(1, keepdim=True).log()


def ce_each(z, y):
    return -log_softmax(z)[torch.arange(len(y)), y]


def ce(z, y):
    return ce_each(z, y).mean()


def kd(z, q):
    """Of the columns given; temperature 2, no factor of its square."""
    return -(log_softmax(q / 2).exp() * log_softmax(z / 2)).sum(1).mean()


def dreaming_terms(network, images, old, temperature):
    """Confidence, divergence of the batch statistics, smoothness, diversity (Smith et al., ICCV 2021, section 4.1)."""
    inputs = []
    z = network.logits(images, inputs=inputs)[:, :old]
    return inversion_terms(z, images, {name: moments(x) for name, x in inputs}, network.running, temperature)


def moments(x):
    """Mean and biased variance of each channel."""
    m = x.mean((0, 2, 3))
    return m, ((x - m.view(1, -1, 1, 1)) ** 2).mean((0, 2, 3))


def inversion_terms(z, images, statistics, running, temperature):
    """Of the old classes' logits z; `statistics` are the moments of what went into each batch normalisation."""
    confidence = ce(z / temperature, z.argmax(1))

    divergence = 0
    for name, (m, v) in statistics.items():
        v = v + 1e-8
        rm, rv = running[f"{name}.running_mean"], running[f"{name}.running_var"] + 1e-8
        each = (v.sqrt() / rv.sqrt()).log() - 0.5 * (1 - (rv + (rm - m) ** 2) / v)
        divergence = divergence + each.mean() / len(statistics)

    kernel = torch.tensor([[math.exp(-(((i - 2) / 2) ** 2) - ((j - 2) / 2) ** 2) for j in range(5)] for i in range(5)])
    kernel = (kernel / kernel.sum()).expand(3, 1, 5, 5).to(images.device)
    blurred = functional.conv2d(functional.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)
    prior = ((images - blurred) ** 2).mean()

    p = log_softmax(z).exp().mean(0)
    diversity = 1 + (p * p.log()).sum() / math.log(z.shape[1])
    return confidence, divergence, prior, diversity
