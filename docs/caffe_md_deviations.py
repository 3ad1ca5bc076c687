"""What is otherwise than in BVLC Caffe 1.0, on purpose; for docs/caffe.md."""

# (BVLC Caffe 1.0, here, why)
DEVIATIONS = [
    (
        "a mistake in a net, solver or file aborts the process",
        "it raises an exception that names file, layer, numbers and way out; a tool says it in one "
        "sentence and exits with 1",
        "notebooks and long jobs survive; where pycaffe raises a type, ours is an instance of it",
    ),
    (
        "labels out of range are not checked (GPU), or only in debug builds",
        "ValueError with layer, label and number of classes, on both devices",
        "what it reads is another's memory: never wanted",
    ),
    (
        "weights of which no layer's name fits are loaded without a word; an empty file too",
        "a warning; for an empty file ValueError",
        "training from random weights by mistake is the commonest way to lose a day",
    ),
    (
        "`copy_from` says nothing of what it did",
        "`copy_from(file, report=True)` returns what was copied, coerced, missing and ignored",
        "which layers were really loaded is the first question when training goes wrong",
    ),
    (
        "`caffe train` trains a net that cannot learn, and goes on when the loss is NaN",
        "so does this, behind one warning line: which layer of zeros stops the gradient, and in "
        "which layer NaN appeared",
        "hours are lost on constant losses; all other lines are Caffe's",
    ),
    (
        "a Crop without crop_param cuts at offset 0; in the branch of 2015 that it came from, at the "
        "offset by the coordinate map",
        "by the coordinate map where both bottoms lead to one picture, told in a line; else at 0, with "
        "a warning; at 0 wherever crop_param is stated",
        "1.0's own tools always write crop_param: without one it is an old net, whose scores would "
        "lie up to 39 pixels off",
    ),
    (
        "a Flatten behind a Reshape, or behind a Concat or Slice of one blob, or a Parameter, lets no "
        "gradient through (BVLC/caffe#6769)",
        "the gradient reaches what is below",
        "a bug that silently kills a gradient is nothing that anybody's numbers depend on",
    ),
    (
        "in a solver's test net, a layer that shares weights by name with a layer of another name "
        "stays at its first values (BVLC/caffe#4585)",
        "it follows the layer whose weights it shares",
        "likewise: what is tested is the net that is trained",
    ),
    (
        "a Python layer's module is whatever `import` finds, in the working directory, too, when Python "
        "is interactive",
        "the working directory is left out, unless the program lies in it or PYTHONPATH names it; "
        "`caffe.allow_python_layers(folder)` adds folders",
        "a prototxt from somebody else runs no code that came with it",
    ),
    (
        "snapshot_prefix, HDF5Output and MatWrite write anywhere, over anything",
        "below the working directory and the prototxt's folder; `caffe.allow_writing(folder)` adds "
        "others, and a script that sets `solver.param.snapshot_prefix` itself may write anywhere; no file "
        "of another kind is written over",
        "a prototxt from somebody else does not write over a stranger's files",
    ),
    (
        "two threads in one net overwrite each other's maps",
        "RuntimeError for the second, which names both threads",
        "wrong scores, and nothing told",
    ),
    (
        "random numbers come from boost and cuRAND",
        "the distributions are the same, the numbers PyTorch's; one seed gives one run on a device",
        "the numbers depend on the build there as well",
    ),
    (
        "prefetch threads share one generator",
        "each data layer draws from a generator of its own, seeded by random_seed",
        "so that a run can be repeated",
    ),
    (
        "cuDNN, where the layer's `engine` says so; TF32 nowhere",
        "`engine` is read and makes no difference; PyTorch chooses the kernels; TF32 is off",
        "one body for CPU and CUDA; float32 means float32",
    ),
    (
        "a snapshot is two files; a resumed training begins its data anew, and draws other random numbers",
        "a third lies beside them, `PREFIX_iter_N.position.json`, by which a cut training equals the uncut "
        "one bit for bit on a CPU; without it all is as in Caffe, and said",
        "a run that was stopped is the same run",
    ),
    (
        "several GPUs: `-gpu 0,1`, NCCL; Data and HDF5Data alone deal their records out",
        "torch.distributed underneath, a process a GPU (`set_multiprocess` does nothing); on CPUs, too; "
        "torchrun starts any number on any machines; who is lost is named",
        "one way for one machine and many ([several GPUs](scale.md))",
    ),
    (
        "LevelDB is built in",
        "read and written where plyvel is installed; LMDB is read without a library, by any number of "
        "nets beside the script's own handle, and written where lmdb is installed",
        "both are optional libraries; lmdb opens a database once a process and no more",
    ),
    (
        "pictures are decoded and resized by OpenCV",
        "by Pillow, resized as OpenCV's bilinear does it; JPEG pixels may differ by one or two",
        "no need for OpenCV",
    ),
    (
        "the log goes to standard error and to files in /tmp",
        "to standard error; to files where GLOG_log_dir or -log_dir names a folder, unless "
        "GLOG_logtostderr is set",
        "nobody looks for them in /tmp",
    ),
    (
        "a log line begins with month and day, of a build with a glog from 0.6 on with the year, too",
        "with month and day: `I1127 10:46:24.123456  4711 solver.cpp:218]`; `parse_log` and "
        "`plot_training_log` read both",
        "Caffe's own parse_log.py, extract_seconds.py and everybody's copies read no other",
    ),
    (
        "in a notebook as everywhere",
        "in a notebook warnings alone, unless GLOG_minloglevel is 0 or `caffe.init_log(0)` is called",
        "a net's log fills pages there",
    ),
    (
        "after a resume the first displayed speed counts from iteration 0",
        "from the resumed iteration",
        "it was a wrong number",
    ),
    (
        "`time` runs the layers one by one, on inputs that stay",
        "every pass has new inputs; the averages are of whole passes, the layers' times of others "
        "between; behind Caffe's lines: GMAC/s, GB/s and shares of the machine's measured peak",
        "what did not change is not computed again; layers computed as one have their time in the "
        "first",
    ),
    (
        "the tools are programs of their own",
        "they are subcommands: `caffe convert_imageset ...`",
        "one program to find",
    ),
    (
        "no command: usage and exit code 0; upgrade tools exit with 2 for unreadable files",
        "usage and 1; always 1",
        "a script can tell",
    ),
    (
        "compute_image_mean sums in float32; lists of pictures may hold unreadable ones silently",
        "in float64; convert_imageset counts what it left out, and fails if that is everything",
        "exact means; no empty databases",
    ),
    (
        "parse_log loses a table of one row, and a last row that is shorter than the first",
        "writes every row",
        "they hold results",
    ),
    (
        "classify and detect default to CaffeNet's files; detect writes pandas' HDF5",
        "--model_def and --pretrained_model are asked for; HDF5 holds plain datasets",
        "the files are not shipped; no need for pandas",
    ),
    (
        "caffe.draw needs pydot and Graphviz",
        "without them it draws .svg itself (`caffe.draw.svg`) and gives DOT text for other formats "
        "(`caffe.draw.dot`)",
        "a graph is better than an error",
    ),
]
