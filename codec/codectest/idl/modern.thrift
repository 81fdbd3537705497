/** What older official compilers do not know or do not compile in Go, and what is meant for raftgen alone. */
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

/** Hot, with fields that are read in straight line and all that ends it: a list, a required field, a gap. */
struct Hot {
  1: i64 first
  2: i32 second = 7
  3: binary blob
  4: bool yes
  5: list<Hot> children
  6: i32 behind
  7: required i64 must
  8: optional i64 maybe
  9: string text
  20: i64 far
  21: list<i32> numbers
  22: i16 small
} (hot = "1")

/** An older Hot, which lacks some of the fields. */
struct Old {
  1: i64 first
  3: binary blob
  5: list<Old> children
  6: i32 behind
  7: required i64 must
  9: string text
  10: i64 gone
}
