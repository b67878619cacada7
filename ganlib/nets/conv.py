"""A convolution whose gradient can be differentiated at the price of a few convolutions more.

A gradient penalty (R1, R2, WGAN-GP) differentiates a gradient of D. torch's own second derivative
of a convolution takes a whole image for a kernel, once per group: slow, and thousands of
operations. A convolution, the gradient for its input and the one for its weight are each linear in
two of (input, weight, gradient), so that the derivatives of each of the three are the other two.
"""

import torch
from torch import nn
from torch.autograd import Function
from torch.nn.functional import conv2d

_backward = torch.ops.aten.convolution_backward


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` with zeros for padding and no dilation: the same values, and the same gradients
    of all orders.
    """

    def _conv_forward(self, x, weight, bias):
        return convolve(x, weight, bias, self.stride, self.padding, self.groups)


def convolve(x, weight, bias=None, stride=(1, 1), padding=(0, 0), groups=1):
    """Return `conv2d` of images `x (N, C, H, W)`, with the same gradients of all orders."""
    if not (torch.is_grad_enabled() and x.requires_grad):
        return conv2d(x, weight, bias, stride, padding, 1, groups)
    if torch.is_autocast_enabled(x.device.type):
        kind = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = (y if y is None else y.to(kind) for y in (x, weight, bias))
    return Convolution.apply(x, weight, bias, (stride, padding, groups))


class Convolution(Function):
    """The convolution of images `x (N, C, H, W)` by `weight`, with a bias or None."""

    @staticmethod
    def forward(ctx, x, weight, bias, how):
        ctx.save_for_backward(x, weight)
        ctx.how = how
        stride, padding, groups = how
        return conv2d(x, weight, bias, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx, gradient):
        (x, weight), how = ctx.saved_tensors, ctx.how
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        return (
            OfInput.apply(gradient, weight, x.detach(), how) if of_x else None,
            OfWeight.apply(gradient, x, weight.detach(), how) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            None,
        )


class OfInput(Function):
    """The gradient for the input, of which `like` has shape and layout."""

    @staticmethod
    def forward(ctx, gradient, weight, like, how):
        ctx.save_for_backward(gradient, weight)
        ctx.how = how
        return _gradients(gradient, like, weight, how)[0]

    @staticmethod
    def backward(ctx, second):
        (gradient, weight), how = ctx.saved_tensors, ctx.how
        of_gradient, of_weight, *_ = ctx.needs_input_grad
        return (
            Convolution.apply(second, weight, None, how) if of_gradient else None,
            OfWeight.apply(gradient, second, weight.detach(), how) if of_weight else None,
            None,
            None,
        )


class OfWeight(Function):
    """The gradient for the weight, of which `like` has shape and layout."""

    @staticmethod
    def forward(ctx, gradient, x, like, how):
        ctx.save_for_backward(gradient, x)
        ctx.how = how
        return _gradients(gradient, x, like, how, 1)[1]

    @staticmethod
    def backward(ctx, second):
        (gradient, x), how = ctx.saved_tensors, ctx.how
        of_gradient, of_x, *_ = ctx.needs_input_grad
        return (
            Convolution.apply(x, second, None, how) if of_gradient else None,
            OfInput.apply(gradient, second, x.detach(), how) if of_x else None,
            None,
            None,
        )


def _gradients(gradient, x, weight, how, which=0):
    stride, padding, groups = how
    mask = [which == 0, which == 1, False]
    arguments = gradient, x, weight, None, stride, padding, (1, 1), False, (0, 0), groups, mask
    return _backward(*arguments)
