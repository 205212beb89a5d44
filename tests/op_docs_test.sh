#!/bin/sh
# op_docs_test.sh OP_DOCS OPS_MD: docs/ops.md is what the registry says.
exec "$1" --check "$2"
