"""`python -m pix2pix_tf.dcgan`."""

import sys

from pix2pix_tf.dcgan import main

if __name__ == "__main__":
    sys.exit(main())
