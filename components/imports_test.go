package components

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/longshore/longshore/"

// TestImportsRunOneWay holds the layout: pipeline ← {each kind of component, agent} ← components ←
// cmd.
func TestImportsRunOneWay(t *testing.T) {
	kinds := []string{"inputs", "parsers", "transforms", "outputs"}
	may := map[string][]string{
		"pipeline":   {"pipeline"},
		"agent":      {"pipeline", "agent"},
		"components": append([]string{"pipeline", "components"}, kinds...),
		"cmd":        append([]string{"pipeline", "agent", "components", "cmd"}, kinds...),
	}
	for _, kind := range kinds {
		may[kind] = []string{"pipeline", kind}
	}
	for folder, allowed := range may {
		for _, line := range deps(t, folder) {
			pkg, imports, _ := strings.Cut(line, ":")
			for path := range strings.FieldsSeq(imports) {
				own, isOurs := strings.CutPrefix(path, module)
				if top, _, _ := strings.Cut(own, "/"); isOurs && !slices.Contains(allowed, top) {
					t.Errorf("%s depends on %s; what is in %s may use only %s", pkg, own, folder,
						strings.Join(allowed, ", "))
				}
			}
		}
	}
}

// deps returns "package: all that it depends on" for the packages below a folder, tests apart.
func deps(t *testing.T, folder string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{range .Deps}} {{.}}{{end}}`,
		module+folder+"/...").Output()
	if err != nil {
		t.Fatalf("go list %s: %v", folder, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
