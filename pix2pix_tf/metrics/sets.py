"""Metrics of whole sets, computed from the image files that were written."""

from pix2pix_tf.metrics import features, labels

FROM_TARGETS = "targets"  # a palette of the colours that are found in the targets


class SetScorer:
    """Measures FID and KID, and the accuracy of label maps, if they are asked for.

    It is made before any work, so that a file that cannot be used ends the run at once.
    """

    def __init__(self, fid_weights: str | None = None, palette: str | None = None):
        """Reads what is needed.

        Args:
            fid_weights: the value of `--fid_weights`; None: no FID and KID.
            palette: the value of `--palette`; None: no label metrics.

        Raises:
            UsageError: the weights or the palette cannot be used.
        """
        self._palette = palette
        if palette not in (None, FROM_TARGETS):
            self._palette = labels.read_palette(palette)
        self._extractor = fid_weights and features.open_extractor(fid_weights)

    def measure(self, read, count):
        """Returns ({metric: float or None}, {details for metrics.json}).

        Args:
            read: function from "outputs" or "targets" to an iterator of these images,
                uint8 [height, width, 3], in one order; it is called for each pass.
            count: int, the number of outputs.

        Raises:
            UsageError: no palette is found in the targets.
        """
        metrics, details = {}, {}
        if self._palette:  # first: it is quick, and may fail
            metrics, details["classes"] = self._compare_labels(read)
        if self._extractor:
            metrics = self._compare_features(read, count) | metrics
            details["extractor"] = self._extractor.name
        return metrics, details

    def _compare_features(self, read, count):
        if count < 2:
            return {"fid": None, "kid": None}
        a, b = (
            features.extract(self._extractor, read(kind))
            for kind in ("outputs", "targets")
        )
        return {
            "fid": features.frechet_distance(a, b),
            "kid": features.kernel_distance(a, b),
        }

    def _compare_labels(self, read):
        palette = self._palette
        if palette == FROM_TARGETS:
            palette = labels.find_palette(read("targets"))
        pairs = zip(read("outputs"), read("targets"), strict=True)
        confusion = sum(labels.confuse(*pair, palette) for pair in pairs)
        return labels.summarise(confusion, palette)
