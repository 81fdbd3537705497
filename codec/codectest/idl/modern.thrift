/** What older official compilers do not know or do not compile in Go. */
namespace go modern

include "basis.thrift"

typedef uuid Key

const uuid NOBODY = "00112233-4455-6677-8899-aabbccddeeff"

struct Keys {
  1: uuid id
  2: optional uuid other
  3: list<uuid> all
  4: map<uuid, string> names
  5: Key typed
  6: set<uuid> some
  7: map<binary, i32> byBlob
  8: map<list<i32>, string> byList
  9: map<basis.Point, i32> byPoint
  10: set<list<string>> setOfLists
  11: set<basis.Point> setOfPoints
  12: set<binary> blobs
  13: optional map<list<i32>, i32> optByList
  14: set<bool> flags
  15: map<map<string, i32>, set<i32>> byMap
}

/** Names that no Go identifier can have, and type names as names. */
struct Names {
  1: i32 _leading
  2: string string_
  3: i32 __
}
