"""Metrics of whole sets of images."""

from pix2pix_tf.metrics import features, labels

FROM_TARGETS = "targets"  # instead of a file: find the palette in the targets


class SetScorer:
    """Measures FID and KID, and the accuracy of label maps, if they are requested.

    Build it before other work: a file that cannot be used then ends the run at once.
    """

    def __init__(self, fid_weights: str | None = None, palette: str | None = None):
        """Loads the extractor and the palette.

        Args:
            fid_weights: the value of `--fid_weights`, or None for no FID and KID.
            palette: the value of `--palette`, or None for no label metrics.

        Raises:
            UsageError: the weights or the palette cannot be used.
        """
        self._palette = palette
        if palette not in (None, FROM_TARGETS):
            self._palette = labels.read_palette(palette)
        self._extractor = fid_weights and features.open_extractor(fid_weights)

    def measure(self, read, count: int):
        """Returns ({metric: float or None}, {details for metrics.json}).

        Args:
            read: function from "outputs" or "targets" to an iterator of these images,
                uint8 [height, width, 3], in the same order; it is called for each pass.
            count: the number of outputs.

        Raises:
            UsageError: the targets have fewer than two colours of label maps.
        """
        metrics, details = {}, {}
        if self._palette:  # before the features, because it is quick and may fail
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
