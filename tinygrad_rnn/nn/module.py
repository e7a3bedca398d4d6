"""A module: parameters and other modules under names, and a forward function.

Nothing is registered. What a module owns is what stands in its attributes, also inside lists, tuples and dicts; the
names are the attributes' own, joined by dots, as in PyTorch ("encoder.weight_hh_l0").
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ..context import current, scope, site
from ..tensor import Tensor
from .files import read_safetensors

if TYPE_CHECKING:  # numpy.typing takes time to load, and only readers want it
    from numpy.typing import DTypeLike


class Parameter(Tensor):
    """A tensor that a module learns: ``module.parameters()`` finds it, and optimisers update it.

    Args:
        data: As for ``tg.Tensor``, or a tensor without a graph. Copied.
        requires_grad: False freezes it: it keeps its place in ``state_dict``, and gets no gradient.
        dtype: Convert to this dtype.
        name: Shown in pictures and error messages; a module names its parameters by their attributes.
        copy: False: share the memory of a given array.

    Raises:
        TypeError: not numbers, or not floats while ``requires_grad``, or a tensor that was computed.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Parameter([0.5, 0.25])
    Parameter([0.5 , 0.25], requires_grad=True)
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        requires_grad: bool = True,
        dtype: DTypeLike | None = None,
        name: str | None = None,
        copy: bool = True,
    ) -> None:
        if isinstance(data, Tensor) and data.is_leaf:
            data = data.numpy()
        super().__init__(data, requires_grad, dtype, name, copy)


class LoadResult(NamedTuple):
    """What ``load_state_dict(..., strict=False)`` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def _missing_forward(self: Module, *args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError(f"{type(self).__name__} has no forward(); a module needs one to be called")


class Module:
    """Base of everything that has parameters: write ``__init__`` and ``forward``, and call the module.

    Calling it runs ``forward`` under ``tg.scope`` with the module's attribute name in its owner, so that what is
    recorded inside knows its module path: ``encoder/lstm``. (Modules that were appended to a list after the list became
    an attribute are found, but bear no name.)

    Attributes:
        training: Set by ``train()`` and ``eval()``; dropout reads it.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> class Classifier(tg.nn.Module):
    ...     def __init__(self):
    ...         self.lstm = tg.nn.LSTM(3, 4)
    ...         self.out = tg.nn.Linear(4, 2)
    ...     def forward(self, x):
    ...         _, (h, _) = self.lstm(x)
    ...         return self.out(h[0])
    >>> model = Classifier()
    >>> [name for name, _ in model.named_parameters()][-2:]
    ['out.weight', 'out.bias']
    >>> y = model(np.ones((5, 1, 3), np.float32))
    >>> y.shape, y.node.path
    ((1, 2), 'out')
    """

    training: bool = True
    _scope_name: str | None = None
    forward: Callable[..., Any] = _missing_forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._scope_name is None:
            return self.forward(*args, **kwargs)
        with scope(self._scope_name):
            return self.forward(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        before = self.__dict__.get(name)
        if isinstance(before, Parameter) and isinstance(value, Tensor) and not isinstance(value, Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter, and a Tensor in its place would no longer be trained; "
                f"assign a Parameter or None, or write new values with .{name}.data = array"
            )
        object.__setattr__(self, name, value)
        for path, member in _members(name, value):
            if isinstance(member, Module):
                if member._scope_name is None:
                    member.__dict__["_scope_name"] = path.replace(".", "/")
            elif member.name is None:
                member.name = path

    # ---- what it is made of

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module (named "") and all below it, owners first, each once under its first name."""
        seen: set[int] = set()
        for name, module in _tree("", self, ()):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules that this one owns itself, each once."""
        seen: set[int] = set()
        for name, member in _owned(self):
            if isinstance(member, Module) and id(member) not in seen:
                seen.add(id(member))
                yield name, member

    def children(self) -> Iterator[Module]:
        """Yield the modules that this one owns itself, each once."""
        return (child for _, child in self.named_children())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield all parameters, of this module and those below; a tied one once, under its first name.

        >>> import tinygrad_rnn as tg
        >>> [(name, p.shape) for name, p in tg.nn.Linear(3, 2).named_parameters()]
        [('weight', (2, 3)), ('bias', (2,))]
        """
        seen: set[int] = set()
        for name, parameter in _parameters(self):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def parameters(self) -> Iterator[Parameter]:
        """Yield all parameters, a tied one once: what an optimiser wants."""
        return (parameter for _, parameter in self.named_parameters())

    # ---- what is done to all of it

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call ``function`` on every module below this one and then on this one; returns this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set ``training`` here and below; returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set ``training`` to False here and below: dropout passes everything."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget every parameter's gradient (``grad`` becomes None)."""
        for parameter in self.parameters():
            parameter.grad = None

    def astype(self, dtype: DTypeLike) -> Self:
        """Convert every parameter, and its gradient, to a floating-point dtype, in place; returns the module.

        Raises:
            TypeError: not a floating-point dtype.

        >>> import numpy as np, tinygrad_rnn as tg
        >>> tg.nn.Linear(3, 2).astype(np.float64).weight.dtype
        dtype('float64')
        """
        chosen = np.dtype(dtype)
        if chosen.kind != "f":
            raise TypeError(f"{type(self).__name__}.astype: expected a floating-point dtype, got {chosen}")
        for parameter in self.parameters():
            gradient = parameter.grad
            parameter.data = parameter.data.astype(chosen)
            parameter.grad = None if gradient is None else Tensor(gradient.data, dtype=chosen)
        return self

    # ---- saving and loading

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all parameters by name, without a graph; a tied one stands under each of its names.

        Copies, unlike PyTorch's: further training does not change them. To save them in a file that this library,
        PyTorch (``safetensors.torch.load_file``) and others read (extra "training")::

            arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
            safetensors.numpy.save_file(arrays, "model.safetensors")

        and ``model.load_state_dict("model.safetensors")`` reads it again.
        """
        # In C order, whatever the parameter's: safetensors writes the memory as it lies.
        return {name: Tensor(np.array(p.data, order="C"), copy=False) for name, p in _parameters(self)}

    def load_state_dict(
        self, state_dict: Mapping[str, Any] | str | os.PathLike[str], strict: bool = True
    ) -> LoadResult:
        """Copy values in by name, each converted to its parameter's dtype; on an error nothing has changed.

        Args:
            state_dict: Name to array or tensor; PyTorch's CPU tensors too. Or the path of a ``.safetensors`` file of
                them (extra "training"), of any real dtype that NumPy has, or bfloat16.
            strict: Every name must be there and no other. False: pass over those that do not match (a shape must fit
                all the same).

        Returns:
            The names passed over: ``missing_keys``, ``unexpected_keys``.

        Raises:
            TypeError: ``state_dict`` is neither a mapping nor a path.
            ValueError: names are missing or unexpected under ``strict``, or a value has the wrong shape or is not real;
                the file is not a safetensors file, or of a dtype that NumPy lacks.
            ImportError: the file needs safetensors, which is not installed.
            OSError: the file cannot be read.

        >>> import numpy as np, tinygrad_rnn as tg
        >>> tg.nn.Linear(3, 2).load_state_dict({"weight": np.zeros((2, 4))})
        Traceback (most recent call last):
            ...
        ValueError: Linear.load_state_dict: bias is missing; weight: expected shape (2, 3), got (2, 4)
        """
        where = f"{type(self).__name__}.load_state_dict"
        if isinstance(state_dict, (str, os.PathLike)):
            state_dict = read_safetensors(state_dict, where)
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"{where}: expected a mapping of names to arrays, or the path of a .safetensors file, got "
                f"{type(state_dict).__name__}"
            )
        own = dict(_parameters(self))
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        faults = [f"{name} is missing" for name in missing if strict]
        faults += [f"{name} is unexpected" for name in unexpected if strict]
        values = {name: _as_array(state_dict[name]) for name in own if name in state_dict}
        for name, value in values.items():
            if value.dtype.kind not in "fiub":
                faults.append(f"{name}: expected real numbers, got {value.dtype}")
            elif value.shape != own[name].shape:
                faults.append(f"{name}: expected shape {own[name].shape}, got {value.shape}")
        if faults:
            raise ValueError(f"{where}: {'; '.join(faults)}")
        for name, value in values.items():
            own[name].data = value.astype(own[name].dtype)
        return LoadResult(missing, unexpected)

    # ---- how it looks

    def here(self) -> str:
        """The module's kind, and where in the model it is being called, as error messages begin."""
        return site(type(self).__name__, current.get())

    def extra_repr(self) -> str:
        """What stands between the brackets of ``repr`` beside the children: sizes and options."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [self.extra_repr(), *children] if self.extra_repr() else children
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def _members(name: str, value: Any) -> Iterator[tuple[str, Module | Parameter]]:
    """The parameters and modules that stand in one attribute, with their names."""
    if isinstance(value, (Module, Parameter)):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from _members(f"{name}.{i}", part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _members(f"{name}.{key}", part)


def _owned(module: Module) -> Iterator[tuple[str, Module | Parameter]]:
    for name, value in list(module.__dict__.items()):
        yield from _members(name, value)


def _tree(name: str, module: Module, above: tuple[Module, ...]) -> Iterator[tuple[str, Module]]:
    """A module and all below it, under each of their names; one that owns its owner ends there."""
    yield name, module
    above = (*above, module)
    for child_name, child in _owned(module):
        if isinstance(child, Module) and not any(child is m for m in above):
            yield from _tree(f"{name}.{child_name}" if name else child_name, child, above)


def _parameters(module: Module) -> Iterator[tuple[str, Parameter]]:
    """All parameters under each of their names, in PyTorch's order: a module's own before its children's."""
    for module_name, owner in _tree("", module, ()):
        for name, member in _owned(owner):
            if isinstance(member, Parameter):
                yield f"{module_name}.{name}" if module_name else name, member


def _as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else np.asarray(value)
