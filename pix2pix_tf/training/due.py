"""What is due at a step: the one place that decides when things happen in training."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Due:
    """What is due at one step; each field is a bool."""

    trace: bool
    validation: bool
    summary: bool
    display: bool  # write the batch's images
    progress: bool  # print the losses
    save: bool

    def without(self, other: "Due") -> "Due":
        """Returns what is due here, but was not due in another."""
        pairs = zip(vars(self).items(), vars(other).values(), strict=True)
        return Due(**{name: here and not there for (name, here), there in pairs})


def find_due(monitor, val_freq, step, is_last, minutes) -> Due:
    """Returns what is due at a step.

    Args:
        monitor: MonitorConfig.
        val_freq: int, steps from one validation to the next; 0: never.
        step: int, of the run, the first is 1.
        is_last: bool, it is the run's last step.
        minutes: float, since the last save.
    """
    is_late = 0 < monitor.save_minutes <= minutes
    return Due(
        trace=is_due(monitor.trace_freq, step, is_last),
        validation=is_due(val_freq, step, is_last),
        summary=is_due(monitor.summary_freq, step, is_last),
        display=is_due(monitor.display_freq, step, is_last),
        progress=is_due(monitor.progress_freq, step, is_last),
        save=is_due(monitor.save_freq, step, is_last) or is_late,
    )


def is_due(freq, step, is_last):
    """Returns True every `freq` steps and after the last one; never if `freq` is 0."""
    return freq > 0 and (step % freq == 0 or is_last)
