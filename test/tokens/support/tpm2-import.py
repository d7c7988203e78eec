"""Imports the keys that standard input tells, as `tpm2_ptool import` does, which offers no AES."""

import json
import sys
import tempfile

from tpm2_pkcs11.commandlets_keys import ImportCommand
from tpm2_pkcs11.utils import rand_hex_str

wanted = json.load(sys.stdin)
for key in wanted["keys"]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes.fromhex(key["material"]))
        file.flush()
        ImportCommand()(
            {
                "path": wanted["store"],
                "label": wanted["token"],
                "userpin": wanted["pin"],
                "sopin": None,
                "hierarchy_auth": "",
                "id": rand_hex_str(16),
                "key_label": key["label"],
                "algorithm": key["algorithm"],
                "privkey": file.name,
                "passin": None,
                "attr_always_authenticate": False,
            }
        )
