/** Every form that a definition can take. */
namespace go types
namespace * types.all
namespace py types.python (module = "m")
cpp_include "<vector>"

typedef i32 Int
typedef Int Number (purpose = "count", checked)
typedef map<string, list<set<Number>>> Deep (cpp.type = "Deep");
typedef list cpp_type "std::deque" <binary (max = "8")> Blobs (max = "4"),
typedef list<i32> cpp_type "std::list" Old
typedef Later Sooner

enum Color { RED, GREEN = 5, BLUE; DARK = 0x1F, NEGATIVE = -3 (note = "n"), AFTER } (kind = "enum")
enum Empty {}

struct Later xsd_all {
  1: required bool a,
  2: optional byte b = 7;
  3: i8 c
  4: i16 d = -5,
  5: Number & e
  6: i64 f = 0xFF (max = "3", unit = "ms")
  7: double g xsd_optional xsd_nillable xsd_attrs { 1: string kind } (x = "1")
  8: string (max = "64") h = 'it\'s "\\" \t',
  9: binary i = "raw"
  10: Blobs j
  11: Blobs k (max = "9")
  12: map cpp_type "std::unordered_map" <i32, string> l
  13: set<Color> m = [Color.RED, Color.BLUE]
  14: i32 required
  15: optional i32 list
} (final)

struct Auto { i32 a, -7: i32 b; 3: i32 c, 0: i32 d }

struct Ring { 1: Link link, 2: optional Ring maybe, 3: list<Ring> many }
struct Link { 1: Ring ring, 2: Leaf leaf }
struct Leaf { 1: i32 n, }
struct Self { 1: required Self self_ }

union Choice { 1: i32 number, 2: optional string text = "t", 3: Choice again }
exception Failed { 1: string why, 2: optional Choice choice } (message = "why")

service Base { void ping() }
service Full extends Base {
  i32 add(1: i32 a, 2: required i32 b = 2, 3: optional i32 c) throws (1: Failed failed) (id = "7"),
  oneway void notify(1: Later later);
  async void shout()
  map<i32, list<Later>> all(i32 page) (deprecated, deprecated = "yes")
} (port = "1")
