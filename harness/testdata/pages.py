# Pages of several kinds in a core, as drgn reads them; TestPagesAgreeWithDrgn compares. Arguments: core, vmlinux. One line a page: kind,
# address, pfn, zone, refcount, _mapcount, flags, head, order of the compound page, order in the free lists, mapping, index, bytes of the
# struct page, bytes of the head and the page behind it. The zone is by the zones' spans, and free pages are those in the free lists.
import drgn, sys
from drgn.helpers.linux.mm import *
from drgn.helpers.linux.list import list_for_each_entry
p = drgn.Program()
p.set_core_dump(sys.argv[1])
p.load_debug_info([sys.argv[2]])
size = drgn.sizeof(p.type("struct page"))
buddy = {}
try:
    zones = p["contig_page_data"].node_zones
except KeyError: # CONFIG_NUMA
    zones = p["node_data"][0].node_zones
nzones = len(zones)
for z in range(nzones):
    areas = zones[z].free_area
    for order in range(len(areas)):
        for lst in areas[order].free_list:
            try:
                for page in list_for_each_entry("struct page", lst.address_of_(), "buddy_list"):
                    buddy[page.value_()] = order
            except drgn.FaultError:
                pass
try:
    pgty_slab = p["PGTY_slab"].value_()
except KeyError: # before 6.11 it is a flag
    pgty_slab = None
def slab(page):
    return PageSlab(page) if pgty_slab is None else (page.page_type.value_() >> 24) == pgty_slab
kinds = {}
def zone(pfn):
    for z in range(nzones):
        s = zones[z].zone_start_pfn.value_()
        if s <= pfn < s + zones[z].spanned_pages.value_():
            return zones[z].name.string_().decode()
    return "-"
# drgn 0.0.22 has no vmemmap for this core: the kernel's variable.
vmemmap = drgn.cast("struct page *", p["vmemmap_base"])
for pfn in range(p["max_pfn"].value_()):
    page = vmemmap + pfn

    try:
        mapping = page.mapping.value_()
        names = []
        if page.value_() in buddy: names.append("buddy")
        if slab(page): names.append("slab")
        if PageReserved(page): names.append("reserved")
        if PageTail(page): names.append("tail")
        if PageHead(page): names.append("head")
        if not names and mapping & 1: names.append("anon")
        if not names and mapping and PageLRU(page): names.append("file")
        kind = "+".join(names) or "other"
        if kinds.setdefault(kind, 0) >= 5: continue
        kinds[kind] += 1
        pfn = (page - vmemmap).value_()
        head = compound_head(page)
        raw = p.read(page.value_(), size)
        try: flags = decode_page_flags(page)
        except ValueError: flags = "?"
        try: order = compound_order(head).value_() if PageCompound(page) else -1
        except AttributeError: order = (p.read(head.value_() + size, 1)[0]) if PageCompound(page) else -1
        print(kind, "0x%x" % page.value_(), "0x%x" % pfn, zone(pfn), page._refcount.counter.value_(), page._mapcount.counter.value_(),
            flags or "0", "0x%x" % head.value_(), order, buddy.get(page.value_(), -1), "0x%x" % mapping, "0x%x" % page.index.value_(), raw.hex(), p.read(head.value_(), 2*size).hex())
    except drgn.FaultError:
        pass
