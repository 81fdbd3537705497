/** A package called like a variable of generated code. */
namespace go hard.v1

enum Level { UNSTATED = 0, LOW = -5, MID = 0x10, HIGH }

struct P { 1: i32 x = 3, 2: optional list<string> names = ["a", "b\n\"\\"], 3: Level l = Level.HIGH }

exception Bad { 1: string why = "dunno" }

service Base {
  P echo(1: P p) throws (1: Bad bad)
  i32 foo_bar(1: i32 a)
  oneway void fire(1: string s)
}

service Mid extends Base {
  void restClient()
}
