from collapse.api import StudyError as StudyError
from collapse.api import expectation as expectation
from collapse.api import load_model as load_model
from collapse.api import load_samples as load_samples
from collapse.api import simulate as simulate

__version__: str
