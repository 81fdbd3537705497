/** What everything.thrift includes. */
namespace go basis

typedef i64 Stamp
typedef map<string, i32> Counts

const i32 ANSWER = 42

enum Color { RED = 1, GREEN = 2, BLUE = 4 }

struct Point {
  1: i32 x
  2: i32 y = ANSWER
}

exception Broken {
  1: string what
  2: optional i32 code
}

service Base {
  string echo(1: string text) throws (1: Broken broken) (id = "1")
  void ping() (id = "2")
}
