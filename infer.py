"""`python infer.py image.jpg [more.jpg ...]`: segment pictures, with FCN-8s if no other is named."""

import sys

from fcn.infer import main

if __name__ == "__main__":
    sys.exit(main())
