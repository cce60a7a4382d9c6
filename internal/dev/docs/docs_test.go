package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the folder of the repository, design the document in it.
const (
	root   = "../../.."
	design = root + "/internal/DESIGN.md"
)

// coming lists the packages of the map that are still to come, each with those that
// it takes the place of. What has come leaves this list: the tests see to it.
var coming = map[string][]string{}

// comingNames lists the names that the document cites and that are still to come, of
// packages that are there.
var comingNames []string

// withoutDoc lists the packages that have no doc.go yet. What has got one leaves this list, too.
var withoutDoc []string

// source is one Go file.
type source struct {
	pkg  string // below internal, or the path of another folder below the root
	test bool
	file *ast.File
}

// sources parses all Go files of the module, by their paths below the root.
func sources(t *testing.T) map[string]source {
	t.Helper()
	all := make(map[string]source)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || exists(name+"/go.mod")):
			return filepath.SkipDir // another module, or none
		case filepath.Ext(name) != ".go":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		folder := filepath.ToSlash(filepath.Dir(name))
		all[name] = source{strings.TrimPrefix(folder, "internal/"), strings.HasSuffix(name, "_test.go"), file}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// exists reports whether there is a file or folder of a name below the root.
func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

// text is the document.
func text(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(design)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// cited matches a citation of one section or of two, otherwise one in another form.
var (
	cited     = regexp.MustCompile(`design §(\d+)(?: and §(\d+))?`)
	otherwise = regexp.MustCompile(`(?i)design\.md,? §|design §\d+(?:,| and) \d|design,? sections? \d`)
)

// TestSections: each section that a comment cites has a heading in the document, and
// citations have one form.
func TestSections(t *testing.T) {
	sections := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^## (\d+)\. `).FindAllStringSubmatch(text(t), -1) {
		sections[m[1]] = true
	}
	found := 0
	for name, s := range sources(t) {
		for _, group := range s.file.Comments {
			comment := strings.Join(strings.Fields(group.Text()), " ") // a citation may be cut by the end of a line
			for _, m := range cited.FindAllStringSubmatch(comment, -1) {
				found++
				for _, section := range m[1:] {
					if section != "" && !sections[section] {
						t.Errorf("%s: a comment cites design §%s, and DESIGN.md has no such section", name, section)
					}
				}
			}
			if other := otherwise.FindString(comment); other != "" {
				t.Errorf("%s: a comment cites %q: the form is design §4, or design §4 and §5", name, other)
			}
		}
	}
	if found < 20 {
		t.Errorf("comments cite %d sections: the test does not find them", found)
	}
}

// mapped lists the packages of the map, from the top floor down.
func mapped(t *testing.T) []string {
	t.Helper()
	_, house, found := strings.Cut(text(t), "\n## 10. ")
	house, _, ends := strings.Cut(house, "\n## ")
	if !found || !ends {
		t.Fatal("DESIGN.md has no §10")
	}
	var names []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|").FindAllStringSubmatch(house, -1) {
		names = append(names, m[1])
	}
	return names
}

// place is where a package stands in the map: under its own name, or under that of
// the package to come that takes its place.
func place(pkg string) string {
	for next, old := range coming {
		if slices.Contains(old, pkg) {
			return next
		}
	}
	return pkg
}

// TestMap: the map names every package below internal, and no other but those that
// are still to come.
func TestMap(t *testing.T) {
	there := make(map[string]bool)
	for name, s := range sources(t) {
		if strings.HasPrefix(name, "internal/") {
			there[s.pkg] = true
		}
	}
	names := mapped(t)
	for _, pkg := range slices.Sorted(maps.Keys(there)) {
		if !slices.Contains(names, place(pkg)) {
			t.Errorf("package %s is not in the map of DESIGN.md §10", pkg)
		}
	}
	for i, pkg := range names {
		if _, later := coming[pkg]; !later && !there[pkg] {
			t.Errorf("the map of DESIGN.md §10 names %s, and there is no such package", pkg)
		}
		if slices.Contains(names[:i], pkg) {
			t.Errorf("the map of DESIGN.md §10 names %s twice", pkg)
		}
	}
	for next, old := range coming {
		if there[next] {
			t.Errorf("package %s has come: take it off the list of what is coming", next)
		}
		for _, pkg := range old {
			if !there[pkg] {
				t.Errorf("package %s, whose place %s takes, is gone: take it off the list of what is coming", pkg, next)
			}
		}
	}
}

// TestDoc: every package but a command says in its doc.go what is decided there.
func TestDoc(t *testing.T) {
	all := sources(t)
	for name, s := range all {
		kind := s.file.Name.Name
		if s.test || kind == "main" || !strings.HasPrefix(name, "internal/") {
			continue
		}
		doc, there := all["internal/"+s.pkg+"/doc.go"]
		switch later := slices.Contains(withoutDoc, s.pkg); {
		case there && later:
			t.Errorf("package %s has a doc.go: take it off the list of those without", s.pkg)
		case there && !strings.HasPrefix(doc.file.Doc.Text(), "Package "+kind+" "):
			t.Errorf("the doc.go of package %s does not say what the package is", s.pkg)
		case !there && !later:
			t.Errorf("package %s has no doc.go", s.pkg)
		case s.file.Doc != nil && there && filepath.Base(name) != "doc.go":
			t.Errorf("%s has a package comment of its own, beside doc.go", name)
		}
	}
}

// TestFloors: a package imports only what stands below it in the map, and nothing but
// tests imports what is for contributors.
func TestFloors(t *testing.T) {
	const internal = "github.com/mha2mla/mha2mla/internal/"
	floors := make(map[string]int)
	for i, pkg := range mapped(t) {
		floors[pkg] = i
	}
	for name, s := range sources(t) {
		from := place(s.pkg)
		if s.test || !strings.HasPrefix(name, "internal/") || strings.HasPrefix(from, "dev/") {
			continue
		}
		for _, spec := range s.file.Imports {
			pkg, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), internal)
			if to := place(pkg); ok && to != from && floors[to] <= floors[from] || strings.HasPrefix(to, "dev/") {
				t.Errorf("%s: %s imports %s, which does not stand below it in the map of DESIGN.md §10", name, s.pkg, pkg)
			}
		}
	}
}

// quoted matches what the document sets in code.
var quoted = regexp.MustCompile("`([^`\n]+)`")

// TestFiles: every file or folder of the repository that the document cites is there.
func TestFiles(t *testing.T) {
	for _, m := range quoted.FindAllStringSubmatch(text(t), -1) {
		if path := m[1]; (strings.HasPrefix(path, "internal/") || strings.HasPrefix(path, ".ci/")) && !exists(path) && !isComing(path) {
			t.Errorf("DESIGN.md cites %s, which is not there", path)
		}
	}
}

// isComing reports whether a path is of a package that is still to come, and is now in
// a package whose place that takes; nothing is known of what takes no other's place.
func isComing(path string) bool {
	for next, old := range coming {
		rest, within := strings.CutPrefix(path, "internal/"+next)
		if within && (len(old) == 0 || slices.ContainsFunc(old, func(pkg string) bool { return exists("internal/" + pkg + rest) })) {
			return true
		}
	}
	return false
}

// TestNames: every name that the document cites, pkg.Name or pkg.Type.Member, is
// exported by that package, and every test is one.
func TestNames(t *testing.T) {
	exported, tests, packages := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for _, s := range sources(t) {
		packages[s.file.Name.Name] = true
		for _, d := range s.file.Decls {
			for _, name := range declared(d) {
				if s.test {
					tests[name] = true
				} else {
					exported[s.file.Name.Name+"."+name] = true
				}
			}
		}
	}
	name := regexp.MustCompile(`^([a-z0-9]+)\.[A-Z]\w*(\.[A-Z]\w*)?$`)
	for _, m := range quoted.FindAllStringSubmatch(text(t), -1) {
		if strings.HasPrefix(m[1], "Test") && !tests[m[1]] {
			t.Errorf("DESIGN.md cites %s, and there is no such test", m[1])
		}
		if p := name.FindStringSubmatch(m[1]); p != nil && packages[p[1]] && !exported[m[1]] && !slices.Contains(comingNames, m[1]) {
			t.Errorf("DESIGN.md cites %s, and there is no such name", m[1])
		}
	}
	for _, later := range comingNames {
		if exported[later] {
			t.Errorf("%s has come: take it off the list of what is coming", later)
		}
	}
}

// declared lists the names that a declaration makes: of functions and methods, of
// types and their fields, of constants and variables.
func declared(d ast.Decl) []string {
	if f, ok := d.(*ast.FuncDecl); ok {
		return []string{receiver(f) + f.Name.Name}
	}
	var names []string
	for _, spec := range d.(*ast.GenDecl).Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			names = append(append(names, s.Name.Name), fieldsOf(s)...)
		case *ast.ValueSpec:
			for _, n := range s.Names {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

// fieldsOf lists the fields of a type, after its name and a dot.
func fieldsOf(s *ast.TypeSpec) []string {
	body, ok := s.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	var names []string
	for _, field := range body.Fields.List {
		for _, n := range field.Names {
			names = append(names, s.Name.Name+"."+n.Name)
		}
	}
	return names
}

// receiver is the type of a method and a dot; empty for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if generic, ok := kind.(*ast.IndexExpr); ok {
		kind = generic.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}
