"""Figures that need all pictures at once, read again from where they were written."""

from pix2pix_tf.metrics import features, labels

FOUND = "targets"  # for a palette: the one that the targets have


class SetScorer:
    """Measures FID and KID, and outputs that are label maps, where they are asked for.

    It is made before any work, so that what it cannot use ends the run at once.
    """

    def __init__(self, fid_weights=None, palette=None):
        """Takes what `--fid_weights` and `--palette` say; None: not asked for.

        Raises:
            UsageError: weights or palette cannot be used.
        """
        self._palette = palette
        if palette not in (None, FOUND):
            self._palette = labels.read_palette(palette)
        self._extractor = fid_weights and features.open_extractor(fid_weights)

    def measure(self, read, count):
        """Returns ({figure: float or None}, {what they were measured by}).

        Args:
            read: function from "outputs" or "targets" to an iterator of such pictures,
                uint8 [height, width, 3], in one order; called for each pass over them.
            count: int, how many of each there are.

        Raises:
            UsageError: the targets have no palette.
        """
        figures, details = {}, {}
        if self._palette:  # first: it is quick, and the one that may fail
            figures, details["classes"] = self._compare_labels(read)
        if self._extractor:
            figures = self._compare_features(read, count) | figures
            details["extractor"] = self._extractor.name
        return figures, details

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
        if palette == FOUND:
            palette = labels.find_palette(read("targets"))
        pairs = zip(read("outputs"), read("targets"), strict=True)
        confusion = sum(labels.confuse(*pair, palette) for pair in pairs)
        return labels.summarise(confusion, palette)
