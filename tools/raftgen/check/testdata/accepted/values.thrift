enum Color { RED, GREEN = 5 }
typedef Color Colour
typedef i32 Count
struct Point { 1: i32 x = 1, 2: optional i32 y, 3: Color color = Color.GREEN }
struct Line { 1: Point from_ = {"y": 2, "x": 3}, 2: list<Point> via = [] }
union Either { 1: i32 number, 2: string text }

const bool YES = true
const bool NO = 0
const bool SAME = YES
const i8 LEAST = -128
const byte MOST = 127
const i16 HEX = +0x7f
const i32 PLUS = +5
const i64 HUGE = -9223372036854775808
const Count COUNT = PLUS
const i64 WIDER = COUNT
const i32 FROM_ENUM = Color.GREEN
const double HALF = .5
const double WHOLE = 3
const double SMALL = -1.5e-3
const double NAMED = PLUS
const string TEXT = "tab\tquote\"'ü\n"
const string SINGLE = 'a "word"'
const binary RAW = TEXT
const Color BY_NAME = Color.GREEN
const Colour BY_TYPEDEF = Colour.RED
const Color BY_NUMBER = 5
const list<i32> NUMBERS = [1 2, 3; PLUS]
const set<string> WORDS = ["a", "b", "a"]
const map<string, list<double>> TABLE = {"one": [1, 1.5], "none": []}
const map<Color, Point> POINTS = {Color.RED: {"x": 9}, 5: {"color": Color.RED, "y": -1}}
const list<i32> NONE = {}
const map<i32, i32> EMPTY = []
const Line LINE = {"via": [{}, {"x": 4}]}
const Either EITHER = {"text": "t"}
