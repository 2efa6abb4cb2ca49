"""What a person sees of a run, and how a person ends it: a bar, and Ctrl-C or the Stop button."""

import signal
import threading
import time

SECONDS_BETWEEN = 0.1  # ten looks a second; each costs less than a millisecond
SECONDS_BEFORE = 0.5  # a run that is over by then shows no bar


class Bar:
    """A bar over all steps in the terminal or the notebook; `wanted=False` shows none."""

    def __init__(self, wanted, num_epochs, batches, accumulate):
        self.wanted, self.num_epochs, self.batches, self.accumulate = (wanted, num_epochs, batches, accumulate)
        self.bar, self.next = None, time.perf_counter() + SECONDS_BEFORE

    def due(self):
        """Whether it is time to look at the run, at most ten times a second."""
        now = time.perf_counter()
        if now < self.next:
            return False
        self.next = now + SECONDS_BETWEEN
        return True

    def show(self, step, epoch, loss):
        """Show how far the run is; the first call makes the bar."""
        if not self.wanted:
            return
        if self.bar is None:
            self.bar = self._new(step)
        self.bar.n = step
        self.bar.set_postfix_str(f"epoch {epoch} of {self.num_epochs}, loss {loss:.4g}", refresh=True)

    def _new(self, step):
        from tqdm.auto import tqdm

        try:
            steps = -(-len(self.batches) // self.accumulate) * self.num_epochs
        except TypeError:  # an iterable data set does not know its length
            steps = None
        return tqdm(total=steps, initial=step, unit="step", leave=False)  # its speed is that from now on

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()


class Stop:
    """Turns Ctrl-C and the Stop button into `asked`, so that a run ends between two steps, with weights that belong together.

    Pressed a second time it interrupts at once. In a thread that is not the main one Python gives no signals.
    """

    def __init__(self):
        self.asked = False

    def __enter__(self):
        self.mine = threading.current_thread() is threading.main_thread()
        if self.mine:
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *error):
        if self.mine:
            signal.signal(signal.SIGINT, self.before)

    def _ask(self, *_):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
