/** How names become Go names, and what happens when two become the same. */
namespace go golden.names

const i32 MAX_SIZE = 3
const i32 maxSize = 4

enum kind { FIRST_ONE = 1, firstOne = 2, last = 9 }

/** kindFirstOne is also the name of a value of kind, with another first letter. */
struct kindFirstOne {
  1: i32 id
  2: i32 ID
  3: i64 snapshotId
  4: string user_id
  5: bool reset
  6: kind kind
}

typedef kindFirstOne func_
typedef list<func_> Funcs

struct Codec { 1: Funcs funcs, 2: optional func_ best }

service codec_ {
  void type_(1: i32 chan_, 2: string ctx, 3: Codec codec)
}
