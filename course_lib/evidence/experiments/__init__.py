"""The experiments, one file a chapter. Each is a plain function of a seed; `course_lib.evidence.registry` shows how."""
