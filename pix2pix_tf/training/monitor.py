"""Who is told how training goes: TensorBoard, and whoever called for it.

Deciding when is not here.
"""

from pix2pix_tf.training import meters, summaries


class Monitor:
    """Tells TensorBoard, and functions (step, {tag: float}), about one run.

    Attributes:
        meter: meters.Meter.
    """

    def __init__(self, options, global_step, callbacks, has_writer):
        """Starts at a step.

        Args:
            options: as `loop.run` takes them.
            global_step: int, steps done.
            callbacks: iterable of functions.
            has_writer: bool, whether there is anything for TensorBoard.
        """
        self.meter = meters.Meter()
        self._has_histograms = options.monitor.summary_histograms == "all"
        self._callbacks = callbacks
        self._writer = None
        if has_writer:
            self._writer = summaries.open_writer(options.run.output_dir, global_step)
            summaries.write_start(self._writer, options)

    def show_graph(self, train_step, *tensors):
        """Writes the graph of the step that was compiled for such tensors."""
        summaries.write_graph(self._writer, train_step, *tensors)

    def show_step(self, state, result, pictures, threshold):
        """Writes one step's summaries.

        Args:
            state, result, threshold: as `summaries.scalars` takes them.
            pictures: as `summaries.write` takes them.
        """
        values = summaries.scalars(state, result, threshold)
        values |= self.meter.read() | meters.memory()
        summaries.write(
            self._writer, state, result, pictures, values, self._has_histograms
        )
        self._call(state, values)

    def show_validation(self, state, found):
        """Writes a validation.Validation."""
        step = int(state.global_step)
        summaries.write_values(self._writer, step, found.scalars, found.strips)
        self._call(state, found.scalars)

    def _call(self, state, values):
        for callback in self._callbacks:
            callback(int(state.global_step), values)
