/**
 * A comment that must not become a build constraint:
 *
 * +build ignore
 */
namespace go hard

include "v1.thrift"
include "m.thrift"

const double NEGATIVE_ZERO = -0.0
const double STILL = NEGATIVE_ZERO
const i64 LEAST = -9223372036854775808
const map<v1.Level, list<map<string, set<i32>>>> DEEP = {v1.Level.LOW: [{"a": [1, 2]}], 16: []}
const map<v1.P, v1.P> POINTS = {{"x": 1}: {"x": 2}}
const list<v1.P> LIST = [{"x": 1}, {}]

typedef list<Tree> Forest
typedef Forest Woods
typedef binary Bin
typedef map<Bin, string> BinMap

struct Tree {
  1: Woods kids
  2: optional Tree left
  3: map<string, Tree> named
  4: set<Tree> unique
  5: Tree self_
  6: map<Tree, Tree> pairs
}

union Any {
  1: Any any
  2: list<Any> many
  3: i32 n = 5
  4: binary bin
  5: map<Any, Any> pairs
  6: v1.P p
  7: double d
  8: set<string> texts
}

exception Failure { 1: Failure cause, 2: string error, 3: string Error, 4: i32 which }

struct Defaults {
  1: list<i32> numbers = [1, 2]
  2: list<v1.P> points = [{"x": 9}, {}]
  3: list<list<list<i32>>> nested = [[[1, 2], [3]], []]
  4: list<Any> any = [{"n": 5}, {"many": [{"d": 1}]}]
  5: set<v1.Level> levels = [v1.Level.LOW, 16]
  6: BinMap bins = {"a": "b"}
  7: map<list<i32>, i32> lists = {[1, 2]: 3, [2]: 4}
  8: map<string, v1.P> named = {"k": {"x": 4, "names": ["q"]}}
  9: optional v1.P point = {"x": 12}
  10: optional list<v1.P> more = [{"x": 9}]
  11: list<double> doubles = [1, -0.0]
  12: double zero = -0.0
  13: list<map<i8, i8>> maps = [{1: 1}]
  14: list<binary> bytes = ["x"]
}

service Rest extends v1.Mid {
  v1.P twice(1: i32 v1, 2: v1.P m, 3: m.A errors, 4: i32 type) throws (1: Failure v1, 2: v1.Bad codec)
  void midClient()
  i64 fooBar(1: string x)
  Woods plant(1: Woods f, 2: BinMap m)
}

service Best extends Rest {
  void restBase()
  Any foo_Bar(1: Any any)
}
