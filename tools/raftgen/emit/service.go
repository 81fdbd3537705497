package emit

import (
	"path"
	"strings"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

// service is one service of the IDL.
type service struct {
	Go, IDL, Doc string
	Client, New  string // client type and its constructor
	NewHandler   string
	Handler      string // unexported type
	List         string // variable with the methods
	Base         *baseService
	Embedded     string // name of the client of Base in this one, which no method can have
	Methods      []*method
}

// baseService is what a service extends.
type baseService struct {
	Go, New, NewHandler, Client, List string // with their package
}

// method is one method of a service.
type method struct {
	Go      string // method of the client and of the server
	Var     string // its description
	IDL     string
	Service string
	Doc     string
	ID      int
	Oneway  bool

	Params string // ", req *VoteRequest"
	Single string // the type of the only argument, a struct; "" for other arguments
	Pass   string // expression that makes the request from the parameters
	Call   string // arguments of the call on the server, from the request
	Return string // type of the value returned, or ""
	Struct bool   // the value returned is a struct
	Zero   string // zero of the type returned

	Args, Result *record
	Throws       []*field
	Success      *field // of the result, or nil
}

// Records returns the structs of the method's calling convention.
func (m *method) Records() []*record {
	if m.Oneway {
		return []*record{m.Args}
	}
	return []*record{m.Args, m.Result}
}

func (g *generator) services() []*service {
	g.use("context")
	g.use(codecPath)
	var ss []*service
	for _, s := range g.prog.Services {
		v := &service{
			Go: g.names.def(g.prog, s), IDL: s.Name,
			Client: g.names.more(g.prog, s, "Client"), New: g.names.more(g.prog, s, "NewClient"),
			NewHandler: g.names.more(g.prog, s, "NewHandler"), List: g.names.more(g.prog, s, "Methods"),
		}
		v.Handler = strings.ToLower(v.Go[:1]) + v.Go[1:] + "Handler"
		v.Embedded = strings.ToLower(v.Go[:1]) + v.Go[1:] + "Base"
		v.Doc = comment(v.Go+" is the service "+s.Name+" of "+path.Base(g.prog.Path)+", as a server implements it.", s.Doc)
		if s.Base != nil {
			v.Base = g.baseService(s.Base)
		}
		for _, f := range s.Functions {
			v.Methods = append(v.Methods, g.method(s, f))
		}
		ss = append(ss, v)
	}
	return ss
}

func (g *generator) baseService(s *ast.Service) *baseService {
	prefix := ""
	if g.names.dir(s.Program) != g.names.dir(g.prog) {
		prefix = g.useProgram(s.Program) + "."
	}
	more := func(what string) string { return prefix + g.names.more(s.Program, s, what) }
	return &baseService{
		Go: prefix + g.names.def(s.Program, s), New: more("NewClient"),
		NewHandler: more("NewHandler"), Client: more("Client"), List: more("Methods"),
	}
}

func (g *generator) method(s *ast.Service, f *ast.Function) *method {
	m := &method{
		Go: g.names.methods[f], Var: g.names.def(g.prog, f), IDL: f.Name, Service: s.Name,
		Doc: comment("", f.Doc), ID: f.NativeID, Oneway: f.Oneway,
	}
	m.Args = g.callRecord(g.names.more(g.prog, f, "Args"), f.Name+"_args", m)
	m.Args.IsArgs = true
	fs := fieldScope()
	for _, a := range f.Args {
		fd := g.field(m.Args, fs, a)
		if fd.T.True().Kind == ast.KindStruct {
			fd.Form = pointer // a call does not copy it
		}
		fd.Required = false
		m.Args.add(fd)
	}
	if !f.Oneway {
		g.result(m, f)
	}
	g.parameters(m)
	return m
}

// callRecord starts the record of a method's arguments or result.
func (g *generator) callRecord(goName, idl string, m *method) *record {
	return &record{Go: goName, IDL: idl, Info: infoName(goName), Method: m, g: g,
		Doc: comment(goName+" is part of Thrift's calling convention for "+m.Service+"."+m.IDL+".", "")}
}

func (g *generator) parameters(m *method) {
	if as := m.Args.Fields; len(as) == 1 && as[0].Form == pointer {
		m.Single = g.goType(as[0].T)
		m.Params = ", req *" + m.Single
		m.Pass, m.Call = "req", ", req.(*"+m.Single+")"
		return
	}
	sc := scope{"ctx": true, "c": true, "resp": true, "err": true, "m": true, "b": true}
	types := make([]string, len(m.Args.Fields))
	for i, f := range m.Args.Fields {
		types[i] = f.GoType()
	}
	for name := range g.included { // a parameter would hide the package, which the method's body mentions
		sc[name] = true
	}
	var pass []string
	for i, f := range m.Args.Fields {
		p := parameter(sc, f.Name)
		m.Params += ", " + p + " " + types[i]
		pass = append(pass, f.Go+": "+p)
		m.Call += ", args." + f.Go
	}
	m.Pass = "&" + m.Args.Go + "{" + strings.Join(pass, ", ") + "}"
}

func (g *generator) result(m *method, f *ast.Function) {
	m.Result = g.callRecord(g.names.more(g.prog, f, "Result"), f.Name+"_result", m)
	fs := fieldScope()
	if f.Result.Kind != ast.KindVoid {
		m.Success = &field{Go: fs.name("Return"), Name: "success", T: f.Result, Form: optionalForm(f.Result), record: m.Result}
		m.Result.add(m.Success)
		m.Struct = m.Success.Form == pointer
		m.Return = g.goType(f.Result)
		if m.Struct {
			m.Return = "*" + m.Return
		}
	}
	for _, x := range f.Throws {
		fd := g.field(m.Result, fs, x)
		fd.Form, fd.Required = pointer, false
		m.Result.add(fd)
		m.Throws = append(m.Throws, fd)
	}
}

// NonNil returns the expression for a container v that is returned, so that an empty one is not taken for none.
func (f *field) NonNil() string {
	t := f.T.True()
	if t.Kind == ast.KindMap && hashable(t.Key) {
		return f.record.g.use(codecPath) + ".NonNilMap(v)"
	}
	return f.record.g.use(codecPath) + ".NonNilSlice(v)"
}
