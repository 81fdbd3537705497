/** A small shop: one of everything, to be read together with what is generated from it. */
namespace go golden.shop

typedef i64 Cents

const Cents FREE = 0
const map<string, Cents> PRICES = {"pen": 250, "ink": 900}

enum Status { UNKNOWN = 0, OPEN = 1, CLOSED = 2 }

/** What is sold. */
struct Item {
  1: string name
  /** In stock; negative when sold before it came. */
  2: i32 count = 1
  3: Cents price = FREE
  4: optional binary picture (max = "65536")
}

struct Order {
  1: required i64 id
  2: list<Item> items (max = "100")
  3: map<string, set<i32>> shelves
  4: map<list<i32>, Item> bundles
  5: optional Order replaces
  6: uuid key
  7: Status status = Status.OPEN
}

union Payment {
  1: Cents cash
  2: string card
  3: Order voucher
}

exception SoldOut {
  1: Item item
}

service Desk {
  Status status()
}

service Shop extends Desk {
  /** The order as it was taken. */
  Order buy(1: Order order) throws (1: SoldOut soldOut) (id = "1")
  map<string, Cents> prices(1: list<string> names, 2: bool all)
  oneway void note(1: string text)
}
