"""The adapters in training inside an ordinary generation: `<lora:__training__:0.8:OUTD>`.

While a training runs, its network is offered here. A prompt that names it has the network hooked onto the model as the
host draws with it, for this generation only. The caller holds the host's queue lock, as every generation does, so the
training stands between two turns meanwhile.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from lib_trainer.host import LiveNetwork
from lib_trainer.host_model import Target


class LiveAdapters:
    """The network in training, and whether a generation draws with it.

    Attributes:
        network: the adapters in training; None while nothing is trained.
    """

    def __init__(self, targets: Callable[[], AbstractContextManager[Sequence[Target]]]) -> None:
        """Starts without a network; `targets` opens the layers of the model as the host draws with it."""
        self.network: LiveNetwork | None = None
        self._targets = targets
        self._drawing = ExitStack()
        self._acting: LiveNetwork | None = None

    @contextmanager
    def offered(self, network: LiveNetwork) -> Iterator[None]:
        """Offers a network to prompts while open."""
        former, self.network = self.network, network
        try:
            yield
        finally:
            self.network = former

    def act(self, network: LiveNetwork, multipliers: Mapping[str, float]) -> None:
        """Has the network act on the model until `rest`, under the lock.

        A preview is drawn inside a turn, with the network as the trainer attached it: it is left alone then.
        """
        if not network.is_attached:
            targets = self._drawing.enter_context(self._targets())
            self._drawing.enter_context(network.attached(targets, multipliers))
            self._acting = network

    def set_multipliers(self, multipliers: Mapping[str, float]) -> None:
        """Has the network act with other multipliers from now on; one that the trainer has attached is left alone."""
        if self._acting is not None:
            self._acting.set_multipliers(multipliers)

    def rest(self) -> None:
        """Ends what `act` began; does nothing when there is nothing to end.

        A generation that died of an exception never says so: the next one, and every turn, comes here first.
        """
        self._acting = None
        self._drawing.pop_all().close()
