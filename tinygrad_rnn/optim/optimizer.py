"""What all optimisers share: parameter groups, the state kept for each parameter, saving and loading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..tensor import Tensor


class Optimizer:
    """Base of the optimisers: a subclass says in ``update`` how one parameter changes.

    Args:
        params: The tensors to optimise, or dicts ``{"params": tensors, "lr": 0.1, ...}`` with options of their own.
        defaults: The options of a group that does not say otherwise.

    Attributes:
        param_groups: A list of dicts: ``"params"``, and the options by name. Schedulers change ``"lr"`` here.
        state: For each parameter, what ``update`` keeps (momenta, say) by name.

    Raises:
        ValueError: no parameters; one that was computed (not a leaf), or stands in two groups; an option that is
            unknown or out of range.
        TypeError: not tensors.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, (Tensor, Mapping, set, frozenset)) or not isinstance(params, Iterable):
            raise TypeError(f"{self._name}: expected a list of tensors, or of dicts, got {type(params).__name__}")
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        given = list(params)
        if not given:
            raise ValueError(f"{self._name}: got no parameters to optimise; was a generator used up before?")
        for group in given if isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def update(self, x: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Change the array ``x`` in place, by its gradient ``g``; ``state`` is empty at first."""
        raise NotImplementedError(f"{self._name} has no update()")

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError if a group's options are out of range."""
        for name in ("lr", "eps", "weight_decay", "momentum", "alpha"):
            if name in group and not group[name] >= 0:
                raise ValueError(f"{self._name}: expected {name} >= 0, got {group[name]}")

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own. One given twice counts once.

        >>> import tinygrad_rnn as tg
        >>> a, b = tg.nn.Parameter([1.0]), tg.nn.Parameter([2.0])
        >>> optimizer = tg.optim.SGD([a], lr=0.1)
        >>> optimizer.add_param_group({"params": [b], "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        where = f"{self._name}, group {len(self.param_groups)}"
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f"{where}: expected a dict with 'params', got {param_group!r}")
        unknown = set(param_group) - set(self.defaults) - {"params", "name", "initial_lr"}
        if unknown:
            raise ValueError(f"{where}: unknown option {min(unknown)!r}; there are {', '.join(self.defaults)}")
        given = param_group["params"]
        if isinstance(given, (set, frozenset)):
            raise TypeError(f"{where}: expected a list of tensors, got a {type(given).__name__}, which has no order")
        params = {id(p): p for p in ([given] if isinstance(given, Tensor) else given)}
        if not params:
            raise ValueError(f"{where}: got no parameters to optimise; was a generator used up before?")
        taken = {id(p) for group in self.param_groups for p in group["params"]}
        for i, p in enumerate(params.values()):
            if not isinstance(p, Tensor):
                raise TypeError(f"{where}: expected tensors, got {type(p).__name__} as number {i}")
            words = f"{where}: parameter {i}" + (f" ({p.name!r})" if p.name else "")
            if not p.is_leaf:
                raise ValueError(f"{words} was computed; only leaf tensors can be optimised")
            if not p.data.flags.writeable:
                raise ValueError(f"{words} has a read-only array, which cannot be updated in place")
            if id(p) in taken:
                raise ValueError(f"{words} is in an earlier group already")
        group = {**self.defaults, **param_group, "params": list(params.values())}
        self.check(group)
        self.param_groups.append(group)

    def zero_grad(self) -> None:
        """Forget every parameter's gradient (``grad`` becomes None)."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, in place; a graph recorded before notices (it cannot be walked).

        Args:
            closure: Computes the loss anew, with its gradients, before the update.

        Returns:
            What ``closure`` returned; None without one.
        """
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for p in group["params"]:
                gradient = p.grad
                if gradient is not None:
                    array = p.data
                    self.update(array, gradient.data, self.state.setdefault(p, {}), group)
                    p.data = array  # through the setter, so that graphs notice
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on exactly: copies, in PyTorch's form, parameters by their number.

        >>> import tinygrad_rnn as tg
        >>> w = tg.nn.Parameter([1.0])
        >>> tg.optim.SGD([w], lr=0.1).state_dict()["param_groups"][0]["params"]
        [0]
        """
        numbers = {id(p): i for i, p in enumerate(self._params())}
        groups = [{**group, "params": [numbers[id(p)] for p in group["params"]]} for group in self.param_groups]
        state = {numbers[id(p)]: {k: _copied(v) for k, v in kept.items()} for p, kept in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned (PyTorch's optimiser's too); on an error nothing changes.

        Raises:
            ValueError: other groups or parameters than this optimiser's, a missing option, or a state of another shape.
        """
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            raise ValueError(f"{self._name}.load_state_dict: expected a dict with 'state' and 'param_groups'")
        groups = state_dict["param_groups"]
        theirs = [len(group["params"]) for group in groups]
        ours = [len(group["params"]) for group in self.param_groups]
        if theirs != ours:
            raise ValueError(f"{self._name}.load_state_dict: expected groups of {ours} parameters, got {theirs}")
        options = [self._options(group, i) for i, group in enumerate(groups)]
        numbered = dict(zip((n for group in groups for n in group["params"]), self._params(), strict=True))
        unknown = [n for n in state_dict["state"] if n not in numbered]
        if unknown:
            raise ValueError(f"{self._name}.load_state_dict: state for parameter {unknown[0]!r}, which no group has")
        state = {
            numbered[n]: {name: self._restored(name, value, numbered[n], n) for name, value in kept.items()}
            for n, kept in state_dict["state"].items()
        }
        for group, taken in zip(self.param_groups, options, strict=True):
            group.update(taken)
        self.state = state

    def _params(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _options(self, group: Mapping[str, Any], i: int) -> dict[str, Any]:
        """A saved group's options, checked; what other programs have written beside them is passed over."""
        missing = [name for name in self.defaults if name not in group]
        if missing:
            raise ValueError(f"{self._name}.load_state_dict: group {i} lacks {missing[0]!r}")
        options = {name: group[name] for name in (*self.defaults, "name", "initial_lr") if name in group}
        self.check(options)
        return options

    def _restored(self, name: str, value: Any, p: Tensor, n: Any) -> Any:
        if name == "step":
            return int(value)
        if value is None:
            return None
        array = np.asarray(value).astype(p.dtype)
        if array.shape != p.shape:
            raise ValueError(
                f"{self._name}.load_state_dict: {name!r} of parameter {n}: expected shape {p.shape}, got {array.shape}"
            )
        return array

    def __repr__(self) -> str:
        groups = [
            f"  group {i}: {len(group['params'])} parameters, "
            + ", ".join(f"{k}={v}" for k, v in group.items() if k != "params")
            for i, group in enumerate(self.param_groups)
        ]
        return f"{self._name}(\n" + "\n".join(groups) + "\n)"


def decayed(g: Any, x: Any, group: dict[str, Any]) -> Any:
    """The gradient with that of an L2 penalty added: g + weight_decay x."""
    decay = group["weight_decay"]
    return g + decay * x if decay else g


def kept(state: dict[str, Any], name: str, x: Any) -> Any:
    """The array that a parameter's state has under a name; zeros like ``x`` if there is none yet."""
    array = state.get(name)
    if array is None:
        array = state[name] = np.zeros_like(x)
    return array


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value
