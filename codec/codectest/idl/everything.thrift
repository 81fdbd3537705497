/** Every construct of the Thrift IDL that all official compilers since 0.13 know: the messages of the conformance suite. */
namespace go everything

include "basis.thrift"

typedef basis.Stamp Later
typedef list<string> Names
typedef binary Blob
typedef bool Flag
typedef basis.Color Hue

enum Size { SMALL, MEDIUM = 5, LARGE, smallish = -1 }

const bool YES = true
const i8 BYTE = -8
const i16 SHORT = 1000
const i64 LONG = 9223372036854775807
const double PI = 3.25
const double WHOLE = 2
const string GREETING = "hello \"you\""
const Size BIG = Size.LARGE
const Later NOON = 12
const list<i32> PRIMES = [2, 3, basis.ANSWER]
const set<string> WORDS = ["a", "b"]
const map<string, list<i32>> TABLE = {"one": [1], "two": [1, 2]}
const basis.Point ORIGIN = {"x": 0, "y": 0}

/** All scalars, in the three degrees of being there. */
struct Scalars {
  1: bool flag
  2: i8 tiny
  3: i16 small
  4: i32 medium
  5: i64 large
  6: double real
  7: string text
  8: binary data
  9: Size size
  10: Later later
  11: Flag typedFlag
  12: Blob blob
  13: Hue hue
  21: optional bool optFlag
  22: optional i8 optTiny
  23: optional i16 optSmall
  24: optional i32 optMedium
  25: optional i64 optLarge
  26: optional double optReal
  27: optional string optText
  28: optional binary optData
  29: optional Size optSize
  30: optional Later optLater
}

/** Required fields must be there when read. */
struct Strict {
  1: required i32 number
  2: required string text
  3: required basis.Point point
  4: required list<i32> numbers
}

struct Defaults {
  1: i32 number = 7
  2: string text = GREETING
  3: bool yes = 1
  4: Size size = Size.MEDIUM
  5: list<i32> numbers = [1, 2, 3]
  6: basis.Point point = {"x": 5}
  7: double real = 1.5
  8: map<string, i32> counts = {"a": 1}
  9: i64 negative = -1
}

struct Containers {
  1: list<i32> numbers
  2: list<bool> flags
  3: list<string> texts
  4: list<binary> blobs
  5: list<Scalars> scalars
  6: list<list<i64>> matrix
  7: set<i32> ids
  8: set<string> names
  9: map<string, i32> counts
  10: map<i32, string> labels
  11: map<i64, list<Scalars>> groups
  12: map<bool, double> chances
  13: map<Size, Later> bySize
  14: list<map<string, set<i16>>> deep
  15: basis.Counts tally
  16: optional list<i32> optNumbers
  17: optional map<string, string> optTexts
  18: optional set<i8> optSet
  19: list<Size> sizes
  20: set<double> reals
  21: map<i8, i8> bytes
}

union Choice {
  1: i32 number
  2: string text
  3: basis.Point point
  4: list<string> texts
  5: binary data
}

/** A struct that contains itself, in the three ways that end. */
struct Tree {
  1: i32 value
  2: optional Tree left
  3: list<Tree> children
  4: map<string, Tree> named
}

/** Ids far apart: a map in msgpack. */
struct Sparse {
  1: i32 near
  1000: string far
  32767: optional i64 last
}

/** Out of order, with gaps. */
struct Gaps {
  7: i32 seventh
  2: string second
  5: optional bool fifth
  20: i64 twentieth
}

struct Choices {
  1: list<Choice> choices
  2: optional Choice maybe
}

struct Empty {}

/** Words that mean something in Go, or collide there. */
struct Words {
  1: string type
  2: string func_
  3: i32 reset
  4: i32 Reset_
  6: i32 snake_case_id
  7: i32 snakeCaseId
  8: i32 error
}

struct Limited {
  1: list<i32> numbers (max = "4")
  2: string text (max = "8")
  3: optional binary data (max = "8")
  4: map<string, i32> counts (max = "2")
}

/** An older reader's Evolved. */
struct Older {
  1: i32 kept
  3: string alsoKept
}

struct Evolved {
  1: i32 kept
  2: Containers added
  3: string alsoKept
  4: optional Tree tree
  5: Choice choice
  6: bool flag
  7: double real
  8: Scalars scalars
}

/** Small on the wire, large in memory. */
struct Costly {
  1: list<map<i8, i8>> maps
  2: list<Defaults> many
  3: Defaults one
  4: optional Defaults maybe
  5: optional map<i8, i8> again
}

exception Odd {
  1: string message
  2: i32 number
}

service Everything extends basis.Base {
  Scalars one(1: Scalars req) throws (1: Odd odd, 2: basis.Broken broken) (id = "10")
  i64 sum(1: i32 a, 2: i64 b, 3: Tree type) (id = "11")
  list<string> names(1: Names filter) (id = "12")
  void nothing(1: Empty req) throws (1: Odd odd) (id = "13")
  oneway void forget(1: string what) (id = "14")
  map<string, i32> counts() (id = "15")
  binary raw(1: binary data) (id = "16")
  Size size() (id = "17")
}
