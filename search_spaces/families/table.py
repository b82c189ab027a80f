"""Every family by name. Adding a family is adding its file and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.families.igcv1 import IGCV1
from search_spaces.families.igcv2 import IGCV2
from search_spaces.families.igcv3 import IGCV3
from search_spaces.families.mobilenetv1 import MOBILENETV1
from search_spaces.families.mobilenetv2 import MOBILENETV2
from search_spaces.families.xception import XCEPTION
from search_spaces.networks import AnyFamily

FAMILIES: Mapping[str, AnyFamily] = {
    family.name: family for family in (IGCV1, IGCV2, IGCV3, XCEPTION, MOBILENETV1, MOBILENETV2)
}
