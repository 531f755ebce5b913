package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/longshore/longshore/inputs/file/glob"
	"github.com/longshore/longshore/pipeline"
)

var _ pipeline.Examiner = (*input)(nil)

// shownUnreadable is how many files that cannot be read are named.
const shownUnreadable = 3

// Examine implements pipeline.Examiner: for each glob it counts the files, and tries to open them.
func (in *input) Examine(ctx context.Context, tell func(pipeline.Finding)) {
	for i, path := range in.settings.Paths {
		if ctx.Err() != nil {
			return
		}
		set, err := glob.NewSet([]string{path}, in.settings.Exclude)
		if err != nil {
			tell(pipeline.Finding{What: path, State: pipeline.FoundBroken, Says: err.Error()})
			continue
		}
		tell(in.examineGlob(ctx, fmt.Sprintf("paths[%d] %s", i, path), set))
	}
}

func (in *input) examineGlob(ctx context.Context, what string, set glob.Set) pipeline.Finding {
	files, excluded, failed := 0, 0, 0
	var reasons []string
	fail := func(err error) {
		if failed++; len(reasons) < shownUnreadable {
			reasons = append(reasons, err.Error())
		}
	}
	walk := glob.Walk{
		Dir:    func(string) {},
		Failed: func(_ string, err error) { fail(err) },
		File: func(path string) {
			info, err := os.Stat(path)
			switch {
			case ctx.Err() != nil, errors.Is(err, fs.ErrNotExist):
			case set.Excludes(path):
				excluded++
			case err != nil:
				fail(err)
			case info.Mode().IsRegular():
				files++
				f, err := in.settings.openFile(path)
				if err != nil {
					fail(err)
					return
				}
				_ = f.Close()
			}
		},
	}
	walk.Visit(set.Include[0])
	found := pipeline.Finding{What: what, Says: pipeline.Count(files, "file")}
	if excluded > 0 {
		found.Says += fmt.Sprintf(" and %d excluded", excluded)
	}
	switch {
	case failed > 0:
		found.State = pipeline.FoundBroken
		found.Says += fmt.Sprintf(", %d of them, or folders, not readable: %s", failed, strings.Join(reasons, "; "))
		found.Advice = "run longshore as a user or in a group (often adm) that may read them, or set their rights: " +
			"setfacl -m u:USER:r FILE"
	case files == 0:
		found.State = pipeline.FoundDoubtful
		found.Advice = "nothing matches yet; it is read once it is there. Is the path right?"
	}
	return found
}
